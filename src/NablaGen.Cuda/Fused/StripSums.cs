using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>Adds up the sums over strips of rows that the gradients of the norms leave. Contract: sum_strips.cu.</summary>
/// <param name="device">Where it runs.</param>
internal sealed class StripSums(CudaDevice device)
{
    /// <summary>Puts out[p, c] = Σ strips[p, i, c] on the stream. Addresses are device addresses.</summary>
    /// <param name="strips">float32 [planes, count, columns], contiguous.</param>
    /// <param name="output">float32 [planes, columns], contiguous.</param>
    /// <param name="planes">Sums.</param>
    /// <param name="count">Terms of a sum.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(nint strips, nint output, int planes, int count, int columns, nint stream) =>
        device.Kernel("sum_strips").Launch(
            ((columns + 31) / 32, planes, 1), LaunchConstants.SumThreads, 0, stream, [(nint)(&strips), (nint)(&output), (nint)(&count), (nint)(&columns)]);
}
