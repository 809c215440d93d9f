using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Benchmarks;

/// <summary>Standard normal numbers for measurements.</summary>
internal static class BenchNoise
{
    private const int Pattern = 1 << 20;

    private static readonly Lazy<float[]> Numbers = new(() =>
    {
        var random = new Random(11);
        return [.. Enumerable.Range(0, Pattern).Select(
            _ => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];
    });

    /// <summary>A million of them.</summary>
    public static float[] Host => Numbers.Value;

    /// <summary>A buffer of float32, the million repeated.</summary>
    public static CudaBuffer Floats(CudaDevice device, long count) => Repeated<float>(device, count, Host);

    /// <summary>A buffer of bfloat16, the million repeated from a place of its own for each seed.</summary>
    public static CudaBuffer BFloat16(CudaDevice device, long count, int seed = 1)
    {
        var from = seed * 7919 % Pattern;
        return Repeated<ushort>(device, count, [.. Host.Skip(from).Concat(Host.Take(from)).Select(ToBFloat16)]);
    }

    /// <summary>The nearest bfloat16, ties to even.</summary>
    public static ushort ToBFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }

    // The host sends the pattern once; the device doubles it.
    private static CudaBuffer Repeated<T>(CudaDevice device, long count, T[] pattern)
        where T : unmanaged
    {
        var size = System.Runtime.CompilerServices.Unsafe.SizeOf<T>();
        var buffer = new CudaBuffer(device, count * size);
        buffer.Write<T>(pattern.AsSpan(0, (int)Math.Min(count, pattern.Length)));
        for (var done = (long)pattern.Length * size; done < buffer.Bytes; done *= 2)
        {
            buffer.CopyWithin(0, done, Math.Min(done, buffer.Bytes - done));
        }

        return buffer;
    }
}
