using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Fused;
using static TorchSharp.torch;

namespace NablaGen.Tests.Cuda;

public class NormGradientTests
{
    private const float Epsilon = 1e-6f;

    [Theory, Trait("gpu", "true")]
    [InlineData(256, 2, 1280, true, true, true, ElementType.BFloat16)]
    [InlineData(256, 3, 77, false, true, true, ElementType.BFloat16)]
    [InlineData(256, 1, 7, true, false, false, ElementType.Float16)]
    [InlineData(8, 5, 1, true, true, true, ElementType.BFloat16)]
    [InlineData(136, 2, 33, false, true, false, ElementType.BFloat16)]
    [InlineData(512, 2, 130, true, true, true, ElementType.BFloat16)]
    [InlineData(1536, 2, 45, false, true, true, ElementType.Float16)]
    [InlineData(5120, 1, 70, true, true, true, ElementType.BFloat16)]
    public void Gradients_of_gate_residual_and_norm_agree(int columns, int batch, int rows, bool modulated, bool gained, bool gated, ElementType type)
    {
        var device = Gpu.Require();
        var draw = new Draw(columns + rows);
        var count = batch * rows * columns;
        float[] s = draw.Floats(count, 2, mean: 3), g = draw.Floats(count), gain = draw.Floats(batch * columns), gate = draw.Floats(batch * columns);
        double[] u = draw.Normals(count, type), y = draw.Normals(count, type);
        using CudaBuffer bufferS = CudaBuffer.From<float>(device, s), bufferG = CudaBuffer.From<float>(device, g),
            bufferGain = CudaBuffer.From<float>(device, gain), bufferGate = CudaBuffer.From<float>(device, gate),
            bufferU = CudaBuffer.From<ushort>(device, Element16.Encode(type, u)), bufferY = CudaBuffer.From<ushort>(device, Element16.Encode(type, y)),
            statistics = Gpu.Poisoned(device, 8L * batch * rows), h = Gpu.Poisoned(device, 2L * count), dx = Gpu.Poisoned(device, 4L * count),
            dy = Gpu.Poisoned(device, 2L * count), sums = Gpu.Poisoned(device, 8L * batch * columns), dgate = Gpu.Poisoned(device, 4L * batch * columns);
        // The statistics are the forward kernel's.
        new LayerNormModulate(device).Run(
            bufferS.Pointer, h.Pointer, type, batch * rows, columns, Epsilon, statistics: statistics.Pointer);
        using var backward = new GateResidualNormBackward(device);
        var norm = new NormGradient(
            bufferS.Pointer, statistics.Pointer, bufferU.Pointer, gained ? bufferGain.Pointer : 0, gained ? sums.Pointer : 0, modulated, modulated ? columns : 0);
        var branch = new BranchGradient(
            dy.Pointer, bufferY.Pointer, gated ? bufferGate.Pointer : 0, gated ? dgate.Pointer : 0, columns);
        double[]? factor = gained ? [.. gain.Select((_, i) => modulated ? 1.0 + gain[i] : gain[i % columns])] : null;
        double[]? gates = gated ? [.. gate.Select(value => (double)value)] : null;
        double[] stream = [.. s.Select(value => (double)value)], outer = [.. g.Select(value => (double)value)];

        backward.Run(type, batch, rows, columns, bufferG.Pointer, dx.Pointer, norm, branch);
        var both = ReferenceNormGradients.Residual(rows, columns, Epsilon, stream, factor, u, outer, y, gates);
        Close(dx.ToArray<float>(count), both.X);
        Gates.Rounded(dy.ToArray<ushort>(count), both.Y, type, i => Math.Abs(both.Y[i]) + 0.1);
        Sums(both.Factor, both.Offset);
        Gate(both.Gate);

        // Each half alone, over outputs that are poisoned anew.
        Array.ForEach([dx, dy, sums, dgate], buffer => buffer.Fill(0xff));
        backward.Run(type, batch, rows, columns, 0, dx.Pointer, norm, null);
        var alone = ReferenceNormGradients.Residual(rows, columns, Epsilon, stream, factor, u, null, null, null);
        Close(dx.ToArray<float>(count), alone.X);
        Sums(alone.Factor, alone.Offset);

        backward.Run(type, batch, rows, columns, bufferG.Pointer, 0, null, branch);
        var added = ReferenceNormGradients.Residual(rows, columns, Epsilon, null, null, null, outer, y, gates);
        Gates.Rounded(dy.ToArray<ushort>(count), added.Y, type);
        Gate(added.Gate);

        void Sums(double[] ofGain, double[] ofOffset)
        {
            if (gained)
            {
                var planes = modulated ? batch : 1;
                var got = sums.ToArray<float>(2 * planes * columns);
                Close(got[..(planes * columns)], modulated ? ofGain : Total(ofGain, columns));
                Close(got[(planes * columns)..], modulated ? ofOffset : Total(ofOffset, columns));
            }
        }

        void Gate(double[] expected)
        {
            if (gated)
            {
                Close(dgate.ToArray<float>(batch * columns), expected);
            }
        }
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(4, 64, 2, 1280, true, ElementType.BFloat16)]
    [InlineData(1, 64, 3, 7, false, ElementType.BFloat16)]
    [InlineData(3, 128, 2, 33, true, ElementType.Float16)]
    [InlineData(12, 128, 2, 77, true, ElementType.BFloat16)]
    [InlineData(40, 128, 1, 70, false, ElementType.BFloat16)]
    public void Gradients_of_RmsNorm_and_RoPE_agree(int heads, int headSize, int batch, int tokens, bool rotated, ElementType type)
    {
        var device = Gpu.Require();
        var draw = new Draw(heads + tokens);
        var columns = heads * headSize;
        var count = batch * tokens * columns;
        double[] x = draw.Normals(count, type, 3), g = draw.Normals(count, type);
        var (weight, table) = (draw.Floats(columns, 0.3, mean: 1), Angles(draw, tokens * headSize));
        using CudaBuffer bufferX = CudaBuffer.From<ushort>(device, Element16.Encode(type, x)), bufferG = CudaBuffer.From<ushort>(device, Element16.Encode(type, g)),
            bufferWeight = CudaBuffer.From<float>(device, weight), bufferTable = CudaBuffer.From<float>(device, table),
            dx = Gpu.Poisoned(device, 2L * count), dweight = Gpu.Poisoned(device, 4L * columns);
        using var backward = new RmsNormRopeBackward(device);
        backward.Run(
            bufferX.Pointer, bufferG.Pointer, dx.Pointer, type, batch, tokens, heads, headSize, bufferWeight.Pointer, dweight.Pointer,
            rotated ? bufferTable.Pointer : 0, Epsilon);
        var exact = ReferenceNormGradients.Heads(x, g, tokens, headSize, Epsilon, weight, rotated ? table : null, v => Element16.Round(type, v));
        Gates.Rounded(dx.ToArray<ushort>(count), exact.X, type, i => Math.Abs(exact.X[i]) + 0.1);
        // A value at the middle of two may be rounded to the other one.
        Close(dweight.ToArray<float>(columns), exact.Weight, 1e-3);
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(256, 2, 1)]
    [InlineData(8, 3, 17)]
    [InlineData(1536, 1, 1056)]
    public void Sums_of_strips_agree_and_have_the_same_bits_each_time(int columns, int planes, int count)
    {
        var device = Gpu.Require();
        var strips = new Draw(count).Floats(planes * count * columns);
        using CudaBuffer buffer = CudaBuffer.From<float>(device, strips), sums = Gpu.Poisoned(device, 4L * planes * columns);
        float[] Run()
        {
            sums.Fill(0xff);
            new StripSums(device).Run(buffer.Pointer, sums.Pointer, planes, count, columns, 0);
            return sums.ToArray<float>(planes * columns);
        }

        var got = Run();
        Close(got, [.. Enumerable.Range(0, planes).SelectMany(plane => Total([.. strips.AsSpan(plane * count * columns, count * columns).ToArray().Select(v => (double)v)], columns))]);
        Assert.Equal(got, Run());
    }

    [Fact]
    public void References_are_the_gradients_of_libtorch()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(1);
        const int batch = 2, rows = 5, columns = 24;
        Tensor Leaf(params long[] shape) => randn(shape, ScalarType.Float64, requires_grad: true);
        var (x, y, gate, scale, shift) = (Leaf(batch, rows, columns), Leaf(batch, rows, columns), Leaf(batch, 1, columns), Leaf(batch, 1, columns), Leaf(batch, 1, columns));
        var (u, g) = (randn([batch, rows, columns], ScalarType.Float64), randn([batch, rows, columns], ScalarType.Float64));
        var sum = x + y * gate;
        var h = nn.functional.layer_norm(sum, [columns], null, null, Epsilon) * (1 + scale) + shift;
        ((h * u).sum() + (sum * g).sum()).backward();
        var got = ReferenceNormGradients.Residual(
            rows, columns, Epsilon, Values(sum), Values(1 + scale), Values(u), Values(g), Values(y), Values(gate));
        foreach (var (mine, theirs) in new[] { (got.X, x), (got.Y, y), (got.Gate, gate), (got.Factor, scale), (got.Offset, shift) })
        {
            Near(mine, theirs.grad!);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_reference_of_heads_is_the_gradient_of_libtorch(bool rotated)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(2);
        const int batch = 2, tokens = 3, headSize = 8, columns = 16;
        var table = Angles(new Draw(4), tokens * headSize);
        var (x, weight) = (randn([batch, tokens, columns], ScalarType.Float64, requires_grad: true), randn([columns], requires_grad: true));
        var g = randn([batch, tokens, columns], ScalarType.Float64);
        var pairs = (x * (x.square().mean([-1], keepdim: true) + Epsilon).rsqrt() * weight).unflatten(2, [2, -1, 2]);
        var angles = tensor(table, ScalarType.Float64).view(tokens, 1, headSize / 2, 2);
        var (a, b, cos, sin) = (pairs.select(-1, 0), pairs.select(-1, 1), angles.select(-1, 0), angles.select(-1, 1));
        var turned = stack([a * cos - b * sin, a * sin + b * cos], -1);
        ((rotated ? turned : pairs).flatten(2) * g).sum().backward();
        var got = ReferenceNormGradients.Heads(
            Values(x), Values(g), tokens, headSize, Epsilon, weight.data<float>().ToArray(), rotated ? table : null, value => value);
        Near(got.X, x.grad!);
        Golden.AssertClose(tensor(got.Weight), weight.grad!, 1e-6);
    }

    [Fact]
    public void Strips_cover_the_rows_once()
    {
        foreach (var columns in new[] { 8, 256, 512, 520, 1536, 5120 })
        {
            foreach (var (batch, rows) in new[] { (1, 1), (1, 67_200), (64, 1280), (2, 77), (500, 3) })
            {
                var plan = StripPlan.For(132, batch, rows, columns);
                Assert.InRange(rows, (plan.Strips - 1) * plan.StripRows + 1, plan.Strips * plan.StripRows);
                Assert.Equal(0, plan.Threads % plan.Group);
                Assert.True(plan.Group % 32 == 0 && (plan.Group == 32 || plan.Group == plan.Threads));
                Assert.InRange(plan.Threads, 32, 320);
            }
        }
    }

    private static float[] Angles(Draw draw, int count)
    {
        var table = new float[count];
        for (var i = 0; i < count; i += 2)
        {
            var (sin, cos) = Math.SinCos(draw.Normal() * 10);
            (table[i], table[i + 1]) = ((float)cos, (float)sin);
        }

        return table;
    }

    private static double[] Total(double[] values, int columns) =>
        [.. Enumerable.Range(0, columns).Select(c => Enumerable.Range(0, values.Length / columns).Sum(row => values[row * columns + c]))];

    private static double[] Values(Tensor x) => x.detach().contiguous().data<double>().ToArray();

    private static void Near(double[] got, Tensor expected) => Golden.AssertClose(tensor(got).view(expected.shape), expected, 1e-11);

    // float32's own noise, in sums of a thousand terms or so.
    private static void Close(float[] got, double[] exact, double tolerance = 2e-5)
    {
        Assert.Equal(exact.Length, got.Length);
        var allowed = tolerance * (1 + exact.Max(Math.Abs));
        for (var i = 0; i < exact.Length; i++)
        {
            Assert.True(Math.Abs(got[i] - exact[i]) <= allowed, $"Element {i} is {got[i]}; exact {exact[i]}, allowed difference {allowed}.");
        }
    }
}
