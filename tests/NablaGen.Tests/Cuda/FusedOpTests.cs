using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Fused;
using NablaGen.Cuda.Gemm;

namespace NablaGen.Tests.Cuda;

public class FusedOpTests
{
    [Theory, Trait("gpu", "true")]
    [InlineData(5120, 5, true, true, ElementType.BFloat16)]
    [InlineData(1536, 7, false, true, ElementType.BFloat16)]
    [InlineData(1536, 6, true, false, ElementType.Float16)]
    [InlineData(8, 1, false, false, ElementType.BFloat16)]
    [InlineData(136, 33, true, true, ElementType.BFloat16)]
    public void LayerNorm_and_modulation_agree(int columns, int rows, bool affine, bool modulated, ElementType type)
    {
        var device = Gpu.Require();
        var draw = new Draw(columns);
        var x = draw.Floats(rows * columns, 2, mean: 3);
        float[] weight = draw.Floats(columns), bias = draw.Floats(columns), modulation = draw.Floats(2 * 2 * columns);
        const float epsilon = 1e-6f;
        using CudaBuffer bufferX = CudaBuffer.From<float>(device, x), bufferWeight = CudaBuffer.From<float>(device, weight),
            bufferBias = CudaBuffer.From<float>(device, bias), bufferModulation = CudaBuffer.From<float>(device, modulation),
            y = Gpu.Poisoned(device, 2L * x.Length);
        // Two batches, each with its shift and its scale.
        var rowsPerBatch = (rows + 1) / 2;
        new LayerNormModulate(device).Run(
            bufferX.Pointer, y.Pointer, type, rows, columns, epsilon, affine ? bufferWeight.Pointer : 0, affine ? bufferBias.Pointer : 0,
            scale: modulated ? bufferModulation.Pointer + 4 * columns : 0, shift: modulated ? bufferModulation.Pointer : 0, rowsPerBatch,
            2 * columns);
        float[]? Modulation(int row, int which) =>
            modulated ? modulation.AsSpan((row / rowsPerBatch * 2 + which) * columns, columns).ToArray() : null;
        var exact = ReferenceFused.LayerNorm(
            x, columns, epsilon, affine ? weight : null, affine ? bias : null, row => Modulation(row, 1), row => Modulation(row, 0));
        // n · (1 + scale) + shift may cancel; its parts are of size 1 to 10.
        Gates.Rounded(y.ToArray<ushort>(x.Length), exact, type, i => Math.Abs(exact[i]) + 0.1);
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(40, 128, ElementType.BFloat16, false, true)]
    [InlineData(12, 128, ElementType.BFloat16, true, true)]
    [InlineData(3, 64, ElementType.Float16, false, true)]
    [InlineData(2, 64, ElementType.BFloat16, false, false)]
    [InlineData(1, 64, ElementType.BFloat16, true, true)]
    public void RmsNorm_RoPE_and_pooling_agree(int heads, int headSize, ElementType type, bool roundProduct, bool rotated)
    {
        var device = Gpu.Require();
        var draw = new Draw(heads);
        int[] sizes = [64, 1, 7, 64, 33];
        const int batch = 2;
        const float epsilon = 1e-6f;
        using var offsets = new BlockOffsets(device, sizes);
        var (tokens, columns) = (offsets.Tokens, heads * headSize);
        var x = draw.Normals(batch * tokens * columns, type, 3);
        float[] weight = [.. draw.Floats(columns, 0.3, mean: 1).Select(w => (float)Element16.Round(type, w))];
        var table = new float[tokens * headSize];
        for (var i = 0; i < table.Length; i += 2)
        {
            var (sin, cos) = Math.SinCos(draw.Normal() * 10);
            (table[i], table[i + 1]) = ((float)cos, (float)sin);
        }

        using CudaBuffer inPlace = CudaBuffer.From<ushort>(device, Element16.Encode(type, x)),
            bufferWeight = CudaBuffer.From<float>(device, weight), bufferTable = CudaBuffer.From<float>(device, table), pooled = Gpu.Poisoned(device, 4L * batch * offsets.Blocks * columns),
            apart = Gpu.Poisoned(device, 2L * x.Length);
        var pass = new RmsNormRope(device);
        var angles = rotated ? bufferTable.Pointer : 0;
        void Run(nint y, nint means) => pass.Run(
            inPlace.Pointer, y, type, batch, heads, headSize, offsets, bufferWeight.Pointer, roundProduct, angles, epsilon, means);
        Run(apart.Pointer, pooled.Pointer);
        Run(inPlace.Pointer, 0);

        var exact = ReferenceFused.RmsNormRope(x, type, tokens, columns, headSize, epsilon, weight, roundProduct, rotated ? table : null);
        var y = apart.ToArray<ushort>(x.Length);
        Gates.Rounded(y, exact, type, i => Math.Sqrt(exact[i] * exact[i] + exact[i ^ 1] * exact[i ^ 1]));
        Assert.Equal(y, inPlace.ToArray<ushort>(x.Length));

        // The mean is of what was stored.
        var means = pooled.ToArray<float>(batch * offsets.Blocks * columns);
        for (var i = 0; i < means.Length; i++)
        {
            var (row, block, d) = (i / headSize / offsets.Blocks, i / headSize % offsets.Blocks, i % headSize);
            var column = row % heads * headSize + d;
            var mean = Enumerable.Range(offsets.Offsets[block], sizes[block])
                .Average(token => (double)Element16.Decode(type, y[(row / heads * tokens + token) * columns + column]));
            Assert.True(Math.Abs(means[i] - mean) <= 1e-5, $"Mean {i} is {means[i]}; exact {mean}.");
        }
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(5120, 5, true, ElementType.BFloat16)]
    [InlineData(1536, 300, true, ElementType.Float16)]
    [InlineData(8, 3, false, ElementType.BFloat16)]
    public void Gate_and_residual_agree(int columns, int rows, bool gated, ElementType type)
    {
        var device = Gpu.Require();
        var draw = new Draw(rows);
        float[] x = draw.Floats(rows * columns), gate = draw.Floats(2 * columns);
        var y = draw.Normals(rows * columns, type);
        using CudaBuffer bufferX = CudaBuffer.From<float>(device, x), bufferGate = CudaBuffer.From<float>(device, gate),
            bufferY = CudaBuffer.From<ushort>(device, Element16.Encode(type, y));
        var rowsPerBatch = (rows + 1) / 2;
        using var beside = Gpu.Poisoned(device, 4L * x.Length);
        void Run(nint sum) => new GateResidual(device).Run(
            bufferX.Pointer, bufferY.Pointer, type, rows, columns, gated ? bufferGate.Pointer : 0, rowsPerBatch, columns, sum);
        Run(beside.Pointer);
        Assert.Equal(x, bufferX.ToArray<float>(x.Length));
        Run(0);
        var got = bufferX.ToArray<float>(x.Length);
        Assert.Equal(got, beside.ToArray<float>(x.Length));
        for (var i = 0; i < x.Length; i++)
        {
            var exact = x[i] + y[i] * (gated ? gate[i / columns / rowsPerBatch * columns + i % columns] : 1);
            Assert.True(Math.Abs(got[i] - exact) <= 1e-6 * (1 + Math.Abs(exact)), $"Element {i} is {got[i]}; exact {exact}.");
        }
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(5120, 5, true, true, true, ElementType.BFloat16)]
    [InlineData(1536, 7, false, false, true, ElementType.BFloat16)]
    [InlineData(1536, 6, true, true, false, ElementType.Float16)]
    [InlineData(8, 1, false, false, false, ElementType.BFloat16)]
    [InlineData(136, 33, true, false, true, ElementType.BFloat16)]
    public void Gate_residual_and_norm_agree(int columns, int rows, bool gated, bool affine, bool modulated, ElementType type)
    {
        var device = Gpu.Require();
        var draw = new Draw(columns + 1);
        var x = draw.Floats(rows * columns, 2, mean: 3);
        var y = draw.Normals(rows * columns, type);
        float[] weight = draw.Floats(columns), bias = draw.Floats(columns), modulation = draw.Floats(2 * 3 * columns);
        const float epsilon = 1e-6f;
        using CudaBuffer bufferX = CudaBuffer.From<float>(device, x), bufferY = CudaBuffer.From<ushort>(device, Element16.Encode(type, y)),
            bufferWeight = CudaBuffer.From<float>(device, weight), bufferBias = CudaBuffer.From<float>(device, bias),
            bufferModulation = CudaBuffer.From<float>(device, modulation), h = Gpu.Poisoned(device, 2L * x.Length);
        // Two batches, each with its gate, its shift and its scale.
        var rowsPerBatch = (rows + 1) / 2;
        nint At(int which) => bufferModulation.Pointer + 4 * which * columns;
        float[] Row(int row, int which) => modulation.AsSpan((row / rowsPerBatch * 3 + which) * columns, columns).ToArray();
        using CudaBuffer beside = Gpu.Poisoned(device, 4L * x.Length), statistics = Gpu.Poisoned(device, 8L * rows);
        void Run(nint sum, nint moments) => new GateResidualNorm(device).Run(
            bufferX.Pointer, bufferY.Pointer, h.Pointer, type, rows, columns, epsilon, gated ? At(0) : 0, affine ? bufferWeight.Pointer : 0,
            affine ? bufferBias.Pointer : 0, modulated ? At(2) : 0, modulated ? At(1) : 0, rowsPerBatch, 3 * columns, sum, moments);
        Run(beside.Pointer, statistics.Pointer);
        Assert.Equal(x, bufferX.ToArray<float>(x.Length));
        h.Fill(0xff);
        Run(0, 0);

        var sums = bufferX.ToArray<float>(x.Length);
        Assert.Equal(sums, beside.ToArray<float>(x.Length));
        var moments = statistics.ToArray<float>(2 * rows);
        for (var row = 0; row < rows; row++)
        {
            double[] values = [.. sums.Skip(row * columns).Take(columns).Select(value => (double)value)];
            var (mean, squares) = (values.Average(), values.Average(v => v * v));
            var inverse = 1 / Math.Sqrt(squares - mean * mean + epsilon);
            Assert.True(Math.Abs(moments[2 * row] - mean) <= 1e-5 * (1 + Math.Abs(mean)), $"Mean {row} is {moments[2 * row]}; exact {mean}.");
            Assert.True(Math.Abs(moments[2 * row + 1] - inverse) <= 1e-5 * inverse, $"Inverse {row} is {moments[2 * row + 1]}; exact {inverse}.");
        }

        for (var i = 0; i < x.Length; i++)
        {
            var exact = x[i] + y[i] * (gated ? Row(i / columns, 0)[i % columns] : 1);
            Assert.True(Math.Abs(sums[i] - exact) <= 1e-6 * (1 + Math.Abs(exact)), $"Element {i} is {sums[i]}; exact {exact}.");
        }

        // The norm is of the sums as they were stored.
        var normalized = ReferenceFused.LayerNorm(
            sums, columns, epsilon, affine ? weight : null, affine ? bias : null, row => modulated ? Row(row, 2) : null,
            row => modulated ? Row(row, 1) : null);
        var norm = h.ToArray<ushort>(x.Length);
        Gates.Rounded(norm, normalized, type, i => Math.Abs(normalized[i]) + 0.1);

        // The norm without its sum; then a sum with a second branch, which is the sum of two passes.
        using CudaBuffer again = CudaBuffer.From<float>(device, x), one = CudaBuffer.From<float>(device, x), other = Gpu.Poisoned(device, 2L * x.Length);
        using var second = CudaBuffer.From<ushort>(device, Element16.Encode(type, draw.Normals(rows * columns, type)));
        void Add(CudaBuffer to, nint branch, nint gate, nint result, nint more, bool keepsSum) => new GateResidualNorm(device).Run(
            to.Pointer, branch, result, type, rows, columns, epsilon, gate, affine ? bufferWeight.Pointer : 0, affine ? bufferBias.Pointer : 0, modulated ? At(2) : 0,
            modulated ? At(1) : 0, rowsPerBatch, 3 * columns, second: more, keepsSum: keepsSum);
        h.Fill(0xff);
        Add(again, bufferY.Pointer, gated ? At(0) : 0, h.Pointer, 0, keepsSum: false);
        Assert.Equal(norm, h.ToArray<ushort>(x.Length));
        Assert.Equal(x, again.ToArray<float>(x.Length));
        Add(one, bufferY.Pointer, gated ? At(0) : 0, other.Pointer, 0, keepsSum: true);
        Add(one, second.Pointer, 0, other.Pointer, 0, keepsSum: true);
        Add(again, bufferY.Pointer, gated ? At(0) : 0, h.Pointer, second.Pointer, keepsSum: true);
        Assert.Equal(one.ToArray<float>(x.Length), again.ToArray<float>(x.Length));
        Assert.Equal(other.ToArray<ushort>(x.Length), h.ToArray<ushort>(x.Length));
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(ElementType.BFloat16, 1, 64, 8)]
    [InlineData(ElementType.BFloat16, 300, 128, 264)]
    [InlineData(ElementType.Float16, 33, 72, 520)]
    public void A_product_with_GELU_agrees(ElementType type, int rows, int inputs, int outputs)
    {
        var device = Gpu.Require();
        Assert.True(LinearGelu.IsAvailable);
        var draw = new Draw(rows);
        double[] x = draw.Normals(rows * inputs, type), weight = draw.Normals(outputs * inputs, type, 0.1), bias = draw.Normals(outputs, type);
        using CudaBuffer bufferX = CudaBuffer.From<ushort>(device, Element16.Encode(type, x)),
            bufferWeight = CudaBuffer.From<ushort>(device, Element16.Encode(type, weight)),
            bufferBias = CudaBuffer.From<ushort>(device, Element16.Encode(type, bias)), y = Gpu.Poisoned(device, 2L * rows * outputs);
        using var product = new LinearGelu(device);
        Assert.True(product.TryRun(bufferX.Pointer, bufferWeight.Pointer, bufferBias.Pointer, y.Pointer, type, rows, inputs, outputs));

        var sums = new double[rows * outputs];
        for (var i = 0; i < sums.Length; i++)
        {
            var (row, column) = (i / outputs, i % outputs);
            sums[i] = bias[column] + Enumerable.Range(0, inputs).Sum(k => x[row * inputs + k] * weight[column * inputs + k]);
        }

        // The reference is what two passes give: sums rounded once, their GELU once more.
        double[] twoPasses = [.. sums.Select(sum => Element16.Round(type, ReferenceFused.Gelu(Element16.Round(type, sum))))];
        Gates.ReorderedSum(
            Element16.Decode(type, y.ToArray<ushort>(sums.Length)), twoPasses, [.. sums.Select(ReferenceFused.Gelu)], floor: 1e-6);
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(5120, 300, ElementType.BFloat16)]
    [InlineData(264, 7, ElementType.Float16)]
    public void Inverses_of_rows_agree(int columns, int rows, ElementType type)
    {
        var device = Gpu.Require();
        var x = new Draw(rows).Normals(rows * columns, type, 3);
        Array.Clear(x, 0, columns);
        using CudaBuffer from = CudaBuffer.From<ushort>(device, Element16.Encode(type, x)), to = Gpu.Poisoned(device, 4L * rows);
        new RmsInverse(device).Run(from.Pointer, to.Pointer, type, rows, columns, 1e-6f);
        var inverse = to.ToArray<float>(rows);
        for (var row = 0; row < rows; row++)
        {
            var exact = 1 / Math.Sqrt(x.AsSpan(row * columns, columns).ToArray().Average(value => value * value) + 1e-6f);
            Assert.True(Math.Abs(inverse[row] - exact) <= 2e-6 * exact, $"Row {row} is {inverse[row]}; exact {exact}.");
        }
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(ElementType.BFloat16)]
    [InlineData(ElementType.Float16)]
    public void Gelu_agrees(ElementType type)
    {
        var device = Gpu.Require();
        double[] x = [.. new Draw(1).Normals(8 * 12_345 - 8, type, 3), 0, -0.0, 100, -100, 1e-4, -1e-4, 20, -20];
        x = [.. x.Select(value => Element16.Round(type, value))];
        using CudaBuffer input = CudaBuffer.From<ushort>(device, Element16.Encode(type, x)), y = Gpu.Poisoned(device, 2L * x.Length);
        new GeluTanh(device).Run(input.Pointer, y.Pointer, type, x.Length);
        Gates.Rounded(y.ToArray<ushort>(x.Length), [.. x.Select(ReferenceFused.Gelu)], type);
    }

    [Fact]
    public void Threads_cover_the_row_in_whole_warps()
    {
        Assert.Equal(320, FusedOp.Threads(5120 / 8, 512));
        Assert.Equal(192, FusedOp.Threads(1536 / 8, 512));
        Assert.Equal(32, FusedOp.Threads(1, 512));
        Assert.All(Enumerable.Range(1, 3000), pieces =>
        {
            var threads = FusedOp.Threads(pieces, 320);
            Assert.InRange(threads, 32, 320);
            Assert.Equal(0, threads % 32);
            Assert.Equal((pieces + 319) / 320, (pieces + threads - 1) / threads);
        });
    }

    [Fact]
    public void Misaligned_and_odd_arguments_are_refused()
    {
        Assert.Throws<ArgumentException>(() => FusedOp.RequireAligned([16, 24]));
        Assert.Throws<ArgumentException>(() => FusedOp.RequireAligned([16, 0], 6));
        Assert.Throws<ArgumentException>(() => FusedOp.RequireRows(1, 12));
        Assert.Throws<ArgumentException>(() => FusedOp.RequireRows(0, 16));
    }
}
