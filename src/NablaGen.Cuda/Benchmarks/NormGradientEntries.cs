using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Fused;

namespace NablaGen.Cuda.Benchmarks;

/// <summary>The gradients of the passes around the attention, at a model's width.</summary>
internal static class NormGradientEntries
{
    private const float Epsilon = 1e-6f;

    public static IReadOnlyList<KernelEntry> All { get; } =
    [
        new("gate_residual_norm_backward", Residual),
        new("rms_norm_rope_backward", Heads),
        new("sum_strips", Strips),
    ];

    // The time has that of the sums in it. The values are of no matter for it, so one tensor serves for several.
    private static IEnumerable<KernelLoad> Residual(KernelData data)
    {
        var (shape, columns) = (data.Shape, data.Shape.Columns);
        var backward = data.Make("gradients of norms", () => new GateResidualNormBackward(data.Device));
        var statistics = data.Make("statistics", () => BenchNoise.Floats(data.Device, 2 * shape.Tokens));
        var (dx, sums) = (data.Room("gradient of the stream", 4L * shape.Elements), data.Room("norm gradients", 12L * columns));
        var norm = new NormGradient(
            data.Stream.Pointer, statistics.Pointer, data.Q.Pointer, data.Vectors.Pointer, sums.Pointer, IsModulation: true, columns);
        var branch = new BranchGradient(data.Output.Pointer, data.K.Pointer, data.Vectors.Pointer, sums.Pointer + 8 * columns, columns);
        void Run(nint stream, nint result, NormGradient? n, BranchGradient? b) =>
            backward.Run(ElementType.BFloat16, 1, shape.Tokens, columns, stream, result, n, b);
        yield return Load(data, 18, "gate and norm", () => Run(data.Stream.Pointer, dx.Pointer, norm, branch));
        yield return Load(data, 10, "norm", () => Run(0, dx.Pointer, norm, null));
        yield return Load(data, 8, "gate", () => Run(data.Stream.Pointer, 0, null, branch));
    }

    private static KernelLoad Heads(KernelData data)
    {
        var shape = data.Shape;
        var backward = data.Make("gradients of heads", () => new RmsNormRopeBackward(data.Device));
        var sums = data.Room("norm gradients", 12L * shape.Columns);
        return Load(data, 6, "Q or K", () => backward.Run(
            data.Q.Pointer, data.K.Pointer, data.Output.Pointer, ElementType.BFloat16, 1, shape.Tokens, shape.Heads, shape.HeadSize,
            data.Vectors.Pointer, sums.Pointer, data.Vectors.Pointer, Epsilon));
    }

    private static KernelLoad Strips(KernelData data)
    {
        var columns = data.Shape.Columns;
        var count = StripPlan.For(data.Device.Multiprocessors, 1, data.Shape.Tokens, columns).Strips;
        var strips = data.Make("strips", () => BenchNoise.Floats(data.Device, 2 * count * columns));
        var sums = data.Room("norm gradients", 12L * columns);
        return new KernelLoad($"2 × {count} × {columns}", 8.0 * (count + 1) * columns, KernelLoad.Bytes,
            () => new StripSums(data.Device).Run(strips.Pointer, sums.Pointer, 2, count, columns, 0));
    }

    private static KernelLoad Load(KernelData data, double bytesPerElement, string what, Action work) =>
        new($"{what}, {data.Shape.Tokens} × {data.Shape.Columns}", bytesPerElement * data.Shape.Elements, KernelLoad.Bytes, work);
}
