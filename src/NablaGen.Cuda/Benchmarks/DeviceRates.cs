using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Gemm;

namespace NablaGen.Cuda.Benchmarks;

/// <summary>What a device does at best, measured: the floors of a kernel's time.</summary>
/// <param name="TeraFlops">bf16 products: cuBLASLt on a large square. Null where cuBLASLt was not found.</param>
/// <param name="TeraBytes">Memory, in TB/s: reading and writing of a large copy counted both.</param>
public sealed record DeviceRates(double? TeraFlops, double TeraBytes)
{
    private const int Side = 8192;
    private const long CopyBytes = 1L << 30;

    /// <summary>Measures a device, with random data: zeros would draw less power and run faster.</summary>
    public static DeviceRates Measure(CudaDevice device, int repeats)
    {
        using var from = BenchNoise.Floats(device, CopyBytes / 4);
        using var to = new CudaBuffer(device, CopyBytes);
        var copy = CudaTimer.Times(device, () => from.CopyTo(to), repeats)[repeats / 2];
        return new DeviceRates(LinearGelu.IsAvailable ? Products(device, repeats) : null, 2 * CopyBytes / copy / 1e9);
    }

    private static double Products(CudaDevice device, int repeats)
    {
        using var linear = new LinearGelu(device);
        using var x = BenchNoise.BFloat16(device, (long)Side * Side);
        using var weight = BenchNoise.BFloat16(device, (long)Side * Side, seed: 2);
        using var bias = BenchNoise.BFloat16(device, Side, seed: 3);
        using var y = new CudaBuffer(device, 2L * Side * Side);
        var times = CudaTimer.Times(
            device, () => linear.TryRun(x.Pointer, weight.Pointer, bias.Pointer, y.Pointer, ElementType.BFloat16, Side, Side, Side), repeats);
        return 2.0 * Side * Side * Side / times[repeats / 2] / 1e9;
    }
}
