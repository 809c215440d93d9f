using System.Runtime.InteropServices;

namespace NablaGen.Tensors;

/// <summary>NNPACK, a library of convolutions inside libtorch.</summary>
/// <remarks>
/// libtorch offers it each small float32 convolution on the CPU and writes a warning to the error stream for each where NNPACK does not know
/// the processor. Without it, those convolutions are computed the same way on every processor.
/// </remarks>
internal static unsafe class Nnpack
{
    // at::globalContext(), at::Context::setUserEnabledNNPACK(bool): what torch.backends.nnpack.set_flags calls; TorchSharp has neither.
    private const string GlobalContext = "_ZN2at13globalContextEv";
    private const string SetEnabled = "_ZN2at7Context20setUserEnabledNNPACKEb";

    /// <summary>Makes libtorch not use NNPACK. Does nothing where libtorch's functions have other names.</summary>
    /// <param name="library">libtorch_cpu's handle.</param>
    public static void Disable(nint library)
    {
        if (NativeLibrary.TryGetExport(library, GlobalContext, out var context) && NativeLibrary.TryGetExport(library, SetEnabled, out var set))
        {
            ((delegate* unmanaged<nint, byte, void>)set)(((delegate* unmanaged<nint>)context)(), 0);
        }
    }
}
