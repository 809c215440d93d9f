using NablaGen.Cuda;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Gemm;
using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>Whether our kernels can be compiled for a GPU: said before the work, not when the first of them is needed.</summary>
internal static class KernelSupport
{
    /// <summary>Checks a GPU: its compute capability, and that NVRTC is there and knows it.</summary>
    /// <param name="device">A CUDA device.</param>
    /// <returns>A clause for <c>doctor</c>: the GPU, its free memory, the compiler and what the feed-forward products go through.</returns>
    /// <exception cref="NablaGenException">The kernels cannot run there; the line says what is missing.</exception>
    public static string Check(Device device)
    {
        var cuda = CudaDevices.Open(device);
        var compiler = Compiler(cuda.Name, cuda.Capability, () => $"{cuda.Compiler}, {cuda.Target}");
        var (free, total) = cuda.Memory();
        return $"{cuda.Name}, compute capability {cuda.Capability}, {GiB(free)} of {GiB(total)} GiB free, kernels by {compiler}, "
            + (LinearGelu.IsAvailable ? "GELU in cuBLASLt's products" : "no cuBLASLt, so GELU is a pass of its own");
    }

    /// <summary>The compiler of a GPU.</summary>
    /// <param name="name">The GPU's name.</param>
    /// <param name="capability">Its compute capability.</param>
    /// <param name="find">Finds the compiler and the target that it has for this GPU.</param>
    /// <exception cref="NablaGenException">The GPU is too old, or there is no compiler for it.</exception>
    internal static string Compiler(string name, ComputeCapability capability, Func<string> find)
    {
        if (capability.Number < CudaDevice.LeastCapability)
        {
            throw new NablaGenException($"{name} has compute capability {capability}; the kernels need 8.0 or newer (Ampere): use --device cpu");
        }

        try
        {
            return find();
        }
        catch (CudaException error)
        {
            throw new NablaGenException($"{name}: its kernels cannot be compiled: {error.Message}", error);
        }
    }

    private static string GiB(long bytes) => $"{bytes / (double)(1L << 30):0.0}";
}
