using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Fused;
using NablaGen.Cuda.Gemm;

namespace NablaGen.Tests.Cuda;

/// <summary>Rows in fp8, and their products.</summary>
[Trait("gpu", "true")]
public class Fp8LinearTests
{
    [Theory]
    [InlineData(1, 16, ElementType.BFloat16)]
    [InlineData(3, 48, ElementType.Float16)]
    [InlineData(77, 1536, ElementType.BFloat16)]
    [InlineData(5, 13_824, ElementType.BFloat16)]
    public void Rows_are_rounded_as_the_format_says(int rows, int columns, ElementType type)
    {
        var device = Gpu.Require();
        var x = Rows(rows, columns, type, seed: rows);
        var (codes, scales) = Quantise(device, x, type, rows, columns);
        for (var row = 0; row < rows; row++)
        {
            var most = x.AsSpan(row * columns, columns).ToArray().Max(Math.Abs);
            Assert.Equal(most > 0 ? most / 448 : 1, scales[row], 1e-6 * Math.Max(most, 1));
            for (var i = row * columns; i < (row + 1) * columns; i++)
            {
                // A number between two codes may fall to either side, for its quotient is rounded too.
                var (got, exact) = (ReferenceEightBits.Decode(codes[i]), x[i] / scales[row]);
                Assert.True(Math.Abs(got - exact) <= 1.00001 * Math.Abs(ReferenceEightBits.RoundFp8(exact) - exact) + 1e-6 * Math.Abs(exact), $"{i} is {got}; exact {exact}");
            }
        }
    }

    [Theory]
    [InlineData(2, 32, ElementType.BFloat16)]
    [InlineData(9, 8960, ElementType.Float16)]
    [InlineData(5, 13_824, ElementType.BFloat16)]
    public void Rows_of_GELU_are_rounded_once(int rows, int columns, ElementType type)
    {
        var device = Gpu.Require();
        var x = Rows(rows, columns, type, seed: rows);
        var (codes, scales) = Quantise(device, x, type, rows, columns, gelu: true);
        double[] exact = [.. x.Select(ReferenceFused.Gelu)];
        for (var row = 0; row < rows; row++)
        {
            var most = exact.AsSpan(row * columns, columns).ToArray().Max(Math.Abs);
            Assert.Equal(most > 0 ? most / 448 : 1, scales[row], 2e-6 * Math.Max(most, 1));
            for (var i = row * columns; i < (row + 1) * columns; i++)
            {
                var (got, right) = (ReferenceEightBits.Decode(codes[i]), exact[i] / scales[row]);
                Assert.True(Math.Abs(got - right) <= 1.00001 * Math.Abs(ReferenceEightBits.RoundFp8(right) - right) + 2e-6 * Math.Abs(right) + 1e-6, $"{i} is {got}; exact {right}");
            }
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void What_is_not_finite_shows_in_the_scale(float bad)
    {
        var device = Gpu.Require();
        var x = Rows(2, 64, ElementType.BFloat16, seed: 9);
        x[7] = bad;
        var (_, scales) = Quantise(device, x, ElementType.BFloat16, 2, 64);
        Assert.False(float.IsFinite(scales[0]));
        Assert.True(float.IsFinite(scales[1]));
    }

    [Theory]
    [InlineData(1, 16, 16, false, true)]
    [InlineData(65, 48, 80, true, true)]
    [InlineData(130, 1536, 256, true, true)]
    [InlineData(130, 1536, 256, false, false)]
    [InlineData(64, 8960, 128, true, false)]
    public void Products_agree(int rows, int inputs, int outputs, bool biased, bool fastSums)
    {
        var device = Gpu.Require(AttentionKernel.Hopper);
        const ElementType type = ElementType.BFloat16;
        double[] x = Rows(rows, inputs, type, seed: 3), weight = Rows(outputs, inputs, type, seed: 4), bias = new Draw(5).Normals(outputs, type);
        using CudaBuffer onX = Upload(device, x), onWeight = Upload(device, weight), onBias = Upload(device, bias);
        using CudaBuffer x8 = new(device, rows * inputs), weight8 = new(device, outputs * inputs), xScales = new(device, 4 * rows), weightScales = new(device, 4 * outputs);
        using var y = Gpu.Poisoned(device, 2L * rows * outputs);
        var quantize = new QuantizeRows(device);
        quantize.Run(onX.Pointer, x8.Pointer, xScales.Pointer, type, rows, inputs);
        quantize.Run(onWeight.Pointer, weight8.Pointer, weightScales.Pointer, type, outputs, inputs);
        using var linear = new Fp8Linear(device, fastSums);
        linear.Run(x8.Pointer, xScales.Pointer, weight8.Pointer, weightScales.Pointer, biased ? onBias.Pointer : 0, y.Pointer, rows, inputs, outputs);

        double[] xs = Decoded(x8, xScales, rows, inputs), ws = Decoded(weight8, weightScales, outputs, inputs), got = Element16.Decode(type, y.ToArray<ushort>(rows * outputs));
        double ofQuantised = 0, ofExact = 0, size = 0;
        for (var i = 0; i < got.Length; i++)
        {
            var (row, column) = (i / outputs, i % outputs);
            var added = biased ? bias[column] : 0;
            double quantised = added, exact = added;
            for (var k = 0; k < inputs; k++)
            {
                quantised += xs[row * inputs + k] * ws[column * inputs + k];
                exact += x[row * inputs + k] * weight[column * inputs + k];
            }

            (ofQuantised, ofExact, size) = (ofQuantised + Square(got[i] - quantised), ofExact + Square(got[i] - exact), size + Square(exact));
        }

        // bf16's rounding is 0.17%; sums kept in 14 bits add to it. Rounding both operands to fp8 is about 3.7%.
        Assert.True(Math.Sqrt(ofQuantised / size) <= (fastSums ? 0.01 : 0.003), $"to the product of the rounded operands: {Math.Sqrt(ofQuantised / size):0.00000}");
        Assert.True(Math.Sqrt(ofExact / size) <= 0.05, $"to the exact product: {Math.Sqrt(ofExact / size):0.0000}");
    }

    [Fact]
    public void Sizes_that_fp8_products_cannot_have_are_refused()
    {
        var device = Gpu.Require(AttentionKernel.Hopper);
        using var linear = new Fp8Linear(device);
        Assert.Contains("multiples of 16", Assert.Throws<ArgumentException>(() => linear.Run(256, 256, 256, 256, 0, 256, 4, 24, 16)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new QuantizeRows(device).Run(256, 256, 256, ElementType.BFloat16, 4, 24));
    }

    // Rows of very different size, one of zeros.
    private static double[] Rows(int rows, int columns, ElementType type, int seed)
    {
        var x = new Draw(seed).Normals(rows * columns, type);
        for (var i = 0; i < x.Length; i++)
        {
            x[i] = i / columns % 7 == 6 ? 0 : Element16.Round(type, x[i] * Math.Pow(2, i / columns % 7 - 3));
        }

        return x;
    }

    private static (byte[] Codes, float[] Scales) Quantise(CudaDevice device, double[] x, ElementType type, int rows, int columns, bool gelu = false)
    {
        using var from = CudaBuffer.From<ushort>(device, Element16.Encode(type, x));
        using CudaBuffer to = Gpu.Poisoned(device, rows * columns), scales = Gpu.Poisoned(device, 4 * rows);
        new QuantizeRows(device).Run(from.Pointer, to.Pointer, scales.Pointer, type, rows, columns, gelu);
        return (to.ToArray<byte>(rows * columns), scales.ToArray<float>(rows));
    }

    private static CudaBuffer Upload(CudaDevice device, double[] x) => CudaBuffer.From<ushort>(device, Element16.Encode(ElementType.BFloat16, x));

    private static double[] Decoded(CudaBuffer codes, CudaBuffer scales, int rows, int columns)
    {
        var (bytes, factors) = (codes.ToArray<byte>(rows * columns), scales.ToArray<float>(rows));
        return [.. bytes.Select((code, i) => ReferenceEightBits.Decode(code) * factors[i / columns])];
    }

    private static double Square(double x) => x * x;
}
