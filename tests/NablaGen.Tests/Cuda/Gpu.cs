using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cuda;

/// <summary>What the GPU tests share.</summary>
internal static class Gpu
{
    /// <summary>The device, or the test is skipped and says why.</summary>
    public static CudaDevice Require()
    {
        if (!CudaDevice.IsAvailable(out var reason))
        {
            Assert.Skip("No CUDA device: " + reason);
        }

        return CudaDevice.Open();
    }

    /// <summary>A device that can run that kernel, or the test is skipped.</summary>
    public static CudaDevice Require(AttentionKernel kernel)
    {
        var device = Require();
        if (kernel == AttentionKernel.Hopper && !device.HasHopperKernels)
        {
            Assert.Skip($"{device.Name} cannot run the Hopper kernel.");
        }

        return device;
    }

    /// <summary>The kernels of the eight-bit attention that a device can run, or the test is skipped.</summary>
    public static IReadOnlyList<EightBitKernel> EightBitKernels(CudaDevice device)
    {
        EightBitKernel[] kernels = [EightBitKernel.Ada, EightBitKernel.Hopper];
        if (EightBitAttention.WhyNot(device) is { } reason)
        {
            Assert.Skip($"The eight-bit attention {reason}.");
        }

        return [.. kernels.Where(kernel => EightBitAttention.WhyNot(device, kernel) is null)];
    }

    /// <summary>A buffer whose every 16-bit or 32-bit float is a NaN: what a kernel leaves out shows.</summary>
    public static CudaBuffer Poisoned(CudaDevice device, long bytes)
    {
        var buffer = new CudaBuffer(device, bytes);
        buffer.Fill(0xff);
        return buffer;
    }
}
