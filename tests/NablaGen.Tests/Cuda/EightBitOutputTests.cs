using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cuda;

/// <summary>The eight-bit attention's output in fp8 against the same output in 16 bits.</summary>
public class EightBitOutputTests
{
    private const int HeadSize = EightBitAttention.HeadSize;

    // ‖y − x‖ / ‖x‖: three bits of mantissa, the log-uniform mean of whose error is 0.026.
    private const double Rounding = 0.03;

    [Theory, Trait("gpu", "true")]
    [InlineData(1, 1, 1, 1)]
    [InlineData(2, 3, 7, 0.6)]
    [InlineData(1, 5, 40, 0.3)]
    [InlineData(1, 2, 150, 1)]
    public void It_is_the_output_in_16_bits_rounded_to_fp8(int batch, int heads, int blocks, double density) =>
        Check(batch, heads, [.. Enumerable.Range(0, blocks).Select(block => block % 3 == 2 ? 29 : 64)], density, _ => 1, Rounding);

    // The one scale is by the largest of all values: a head far smaller than another keeps its precision.
    [Fact, Trait("gpu", "true")]
    public void Heads_of_very_different_size_keep_their_precision() => Check(1, 4, [.. Enumerable.Repeat(64, 9)], 0.7, head => Math.Pow(2, -2 * head), Rounding);

    // Many equal weights: a mean of values is far smaller than the largest of them.
    [Fact, Trait("gpu", "true")]
    public void Means_of_many_values_keep_their_precision() => Check(1, 1, [.. Enumerable.Repeat(64, 250)], 1, _ => 1, Rounding, sizeOfQ: 0);

    [Fact, Trait("gpu", "true")]
    public void What_is_not_a_number_shows_in_the_output()
    {
        var device = Gpu.Require();
        var draw = new Draw(5);
        using var offsets = new BlockOffsets(device, [64, 64, 30]);
        var (tokens, count) = (offsets.Tokens, offsets.Tokens * HeadSize);
        using var mask = DeviceBlockMask.FromHost(device, 1, 3, (_, _, _) => true, withLists: true);
        foreach (var (kernel, broken) in Gpu.EightBitKernels(device).SelectMany(kernel => Enumerable.Range(0, 3).Select(which => (kernel, which))))
        {
            ushort[][] inputs = [.. Enumerable.Range(0, 3).Select(_ => Element16.Encode(ElementType.BFloat16, draw.Normals(count, ElementType.BFloat16)))];
            inputs[broken][(70 * HeadSize) + 5] = 0x7fc0;
            CudaBuffer[] buffers = [.. inputs.Select(values => CudaBuffer.From<ushort>(device, values))];
            AttentionTensor Tensor(int i) => AttentionTensor.HeadsFirst(buffers[i].Pointer, ElementType.BFloat16, 1, 1, tokens, HeadSize);
            using CudaBuffer codes = Gpu.Poisoned(device, count), scales = Gpu.Poisoned(device, 4L * tokens);
            using var attention = new EightBitAttention(device, kernel);
            attention.RunToFp8(Tensor(0), Tensor(1), Tensor(2), codes.Pointer, scales.Pointer, offsets, mask);
            var rows = Decode(codes, scales, 1, tokens, 1).Chunk(HeadSize).Select(row => row.All(double.IsFinite)).ToArray();
            Assert.All(rows[64..(broken == 0 ? 128 : tokens)], isFinite => Assert.False(isFinite, $"{kernel}"));
            foreach (var buffer in buffers)
            {
                buffer.Dispose();
            }
        }
    }

    [Fact, Trait("gpu", "true")]
    public void Rows_need_addresses()
    {
        var device = Gpu.Require();
        Gpu.EightBitKernels(device);
        using var attention = new EightBitAttention(device);
        using var offsets = new BlockOffsets(device, [64]);
        using var mask = new DeviceBlockMask(device, 1, 1);
        using var buffer = new CudaBuffer(device, 64 * HeadSize * 2);
        var x = AttentionTensor.HeadsFirst(buffer.Pointer, ElementType.BFloat16, 1, 1, 64, HeadSize);
        Assert.Throws<ArgumentException>(() => attention.RunToFp8(x, x, x, buffer.Pointer + 8, buffer.Pointer, offsets, mask));
        Assert.Throws<ArgumentException>(() => attention.RunToFp8(x, x, x, buffer.Pointer, 0, offsets, mask));
    }

    private static void Check(int batch, int heads, int[] sizes, double density, Func<int, double> sizeOf, double allowed, double sizeOfQ = 1)
    {
        var device = Gpu.Require();
        var draw = new Draw(sizes.Length + heads);
        using var offsets = new BlockOffsets(device, sizes);
        var (tokens, blocks, rows) = (offsets.Tokens, offsets.Blocks, batch * heads);
        var count = rows * tokens * HeadSize;
        CudaBuffer Upload(Func<int, double> factor) => CudaBuffer.From<ushort>(device, Element16.Encode(
            ElementType.BFloat16, [.. draw.Normals(count, ElementType.BFloat16).Select((x, i) => Element16.Round(ElementType.BFloat16, x * factor(i / HeadSize / tokens % heads)))]));
        using CudaBuffer q = Upload(_ => sizeOfQ), k = Upload(_ => 1), v = Upload(sizeOf);
        AttentionTensor Tensor(CudaBuffer buffer) => AttentionTensor.HeadsFirst(buffer.Pointer, ElementType.BFloat16, batch, heads, tokens, HeadSize);
        var kept = new bool[rows * blocks * blocks];
        for (var i = 0; i < kept.Length; i++)
        {
            // The second block keeps nothing, if there are others.
            kept[i] = draw.Chance(density) && !(blocks > 3 && i / blocks % blocks == 1);
        }

        using var mask = DeviceBlockMask.FromHost(device, rows, blocks, (head, query, key) => kept[(((head * blocks) + query) * blocks) + key], withLists: true);
        // What rounding weights and values by a sixteenth each may bring: v + e (v − mu), e = (17/16)² − 1, and neither v nor mu is beyond the largest v.
        var bound = (1 + 2 * (17 / 16.0 * 17 / 16 - 1)) * Element16.Decode(ElementType.BFloat16, v.ToArray<ushort>(count)).Max(Math.Abs);
        foreach (var kernel in Gpu.EightBitKernels(device))
        {
            using CudaBuffer plain = Gpu.Poisoned(device, 2L * count), codes = Gpu.Poisoned(device, count), scales = Gpu.Poisoned(device, 4L * batch * tokens);
            using var attention = new EightBitAttention(device, kernel);
            attention.Run(Tensor(q), Tensor(k), Tensor(v), Tensor(plain), offsets, mask);
            attention.RunToFp8(Tensor(q), Tensor(k), Tensor(v), codes.Pointer, scales.Pointer, offsets, mask);
            var x = Element16.Decode(ElementType.BFloat16, plain.ToArray<ushort>(count));
            var y = Decode(codes, scales, batch, tokens, heads);
            Assert.All(scales.ToArray<float>(batch * tokens), scale => Assert.Equal(bound / ReferenceEightBits.LargestFp8, scale, bound * 1e-6));
            // By head, so that a small one counts.
            for (var row = 0; row < rows; row++)
            {
                double error = 0, size = 0;
                for (var i = row * tokens * HeadSize; i < (row + 1) * tokens * HeadSize; i++)
                {
                    error += (y[i] - x[i]) * (y[i] - x[i]);
                    size += x[i] * x[i];
                }

                Assert.True(Math.Sqrt(error) <= allowed * Math.Sqrt(size), $"{kernel}, head {row}: {Math.Sqrt(error / size):0.0000}");
            }
        }
    }

    // Rows of all heads → [batch, heads, tokens, head size].
    private static double[] Decode(CudaBuffer codes, CudaBuffer scales, int batch, int tokens, int heads)
    {
        var (bytes, factors) = (codes.ToArray<byte>(batch * tokens * heads * HeadSize), scales.ToArray<float>(batch * tokens));
        var values = new double[bytes.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            var (row, head, d) = (i / HeadSize / heads, i / HeadSize % heads, i % HeadSize);
            var code = bytes[i];
            values[((((row / tokens * heads) + head) * tokens) + (row % tokens)) * HeadSize + d] =
                (code & 0x7f) == 0x7f ? double.NaN : ReferenceEightBits.Decode(code) * factors[row];
        }

        return values;
    }
}
