using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Fused;

namespace NablaGen.Cuda.Benchmarks;

/// <summary>The passes around the attention, at a model's width.</summary>
internal static class FusedEntries
{
    private const float Epsilon = 1e-6f;
    private const int VaeChannels = 96;

    public static IReadOnlyList<KernelEntry> All { get; } =
    [
        new("layer_norm_modulate", data => InBoth(data, 6, scales => new LayerNormModulate(data.Device).Run(
            data.Stream.Pointer, data.Output.Pointer, ElementType.BFloat16, data.Shape.Tokens, data.Shape.Columns, Epsilon,
            scale: data.Vectors.Pointer, shift: data.Vectors.Pointer, rowScales: scales))),
        new("rms_norm_rope", RmsNormRope),
        new("gate_residual", data => Pass(data, 10, Width(data), () => new GateResidual(data.Device).Run(
            data.Stream.Pointer, data.Q.Pointer, ElementType.BFloat16, data.Shape.Tokens, data.Shape.Columns, data.Vectors.Pointer))),
        new("gate_residual_norm", data => InBoth(data, 12, scales => new GateResidualNorm(data.Device).Run(
            data.Stream.Pointer, data.Q.Pointer, data.Output.Pointer, ElementType.BFloat16, data.Shape.Tokens, data.Shape.Columns, Epsilon,
            data.Vectors.Pointer, scale: data.Vectors.Pointer, shift: data.Vectors.Pointer, rowScales: scales))),
        new("gelu_tanh", data => Pass(data, 4, Width(data), () => new GeluTanh(data.Device).Run(
            data.Q.Pointer, data.Output.Pointer, ElementType.BFloat16, data.Shape.Elements))),
        new("rms_norm_silu", RmsNormSilu),
        new("rms_inverse", data => Pass(data, 2, Width(data), () => new RmsInverse(data.Device).Run(
            data.Q.Pointer, data.Vectors.Pointer, ElementType.BFloat16, data.Shape.Tokens, data.Shape.Columns, Epsilon))),
        new("low_rank_sum", data => LowRank(data, 4, (passes, k, v, table, sums) => passes.Sum(k, v, table, table, table, sums))),
        new("low_rank_add", data => LowRank(data, 8, (passes, q, x, table, sums) => passes.Add(
            AttentionTensor.TokensFirst(data.Output.Pointer, ElementType.BFloat16, 1, data.Shape.Heads, data.Shape.Tokens, data.Shape.HeadSize), q, x, table, table, table, sums, table, table,
            Epsilon, Epsilon))),
        new("expand_numbers", Expansions),
    ];

    // The result in 16 bits and, where the device has fp8, in fp8: a byte less an element.
    private static IEnumerable<KernelLoad> InBoth(KernelData data, double bytesPerElement, Action<nint> work)
    {
        yield return Pass(data, bytesPerElement, Width(data), () => work(0));
        if (data.Device.Capability.Number >= 89)
        {
            var scales = data.Room("scales of rows", 4L * data.Shape.Tokens);
            yield return Pass(data, bytesPerElement - 1, Width(data) + " to fp8", () => work(scales.Pointer));
        }
    }

    // Angles and weights are whatever lies there: no number's size changes the time.
    private static IEnumerable<KernelLoad> LowRank(
        KernelData data, double bytesPerElement, Action<LowRankPasses, AttentionTensor, AttentionTensor, nint, nint> work)
    {
        var (shape, passes) = (data.Shape, new LowRankPasses(data.Device));
        var table = data.Room("the low-rank branch's angles", 4L * shape.Tokens * shape.HeadSize);
        var sums = data.Room("the low-rank branch's sums", 4L * passes.Chunks(shape.Heads, shape.Tokens) * shape.Heads * LowRankPasses.Rank * shape.HeadSize);
        AttentionTensor Of(nint pointer) => AttentionTensor.TokensFirst(pointer, ElementType.BFloat16, 1, shape.Heads, shape.Tokens, shape.HeadSize);
        yield return Pass(data, bytesPerElement, $"{shape.Heads} heads, {shape.Tokens} tokens", () => work(passes, Of(data.Q.Pointer), Of(data.V.Pointer), table.Pointer, sums.Pointer));
    }

    // Random bytes are valid blocks, so none need be made with care.
    private static IEnumerable<KernelLoad> Expansions(KernelData data)
    {
        foreach (var format in new[] { "F8_E4M3", "Q8_0", "Q4_K", "Q6_K" })
        {
            var (count, expand) = (data.Shape.Elements / 256 * 256, new ExpandNumbers(data.Device));
            yield return new KernelLoad($"{count} in {format}", 2.0 * count + ExpandNumbers.BytesOf(format, count), KernelLoad.Bytes, () => expand.Run(
                format, data.Q.Pointer, 0, 0, data.Output.Pointer, ElementType.BFloat16, count));
        }
    }

    private static IEnumerable<KernelLoad> RmsNormRope(KernelData data)
    {
        var shape = data.Shape;
        var means = data.Room("means", 8L * shape.Blocks * shape.Columns);
        var joined = data.Room("joined", 6L * shape.Elements);
        var next = means.Pointer + (nint)(means.Bytes / 2);
        yield return Pass(data, 8, $"Q and K of one product, pooled, {Width(data)}", () => new RmsNormRope(data.Device).RunPair(
            joined.Pointer, ElementType.BFloat16, 1, shape.Heads, shape.HeadSize, 3 * shape.Columns, data.Offsets,
            (data.Vectors.Pointer, data.Vectors.Pointer), data.Vectors.Pointer, Epsilon, (means.Pointer, next)));
        yield return Pass(data, 4, $"Q or K, pooled, {Width(data)}", () => new RmsNormRope(data.Device).Run(
            data.Q.Pointer, data.Output.Pointer, ElementType.BFloat16, 1, shape.Heads, shape.HeadSize, data.Offsets, data.Vectors.Pointer,
            false, data.Vectors.Pointer, Epsilon, means.Pointer));
    }

    // The VAE's: as many pixels as the tensors have room for.
    private static KernelLoad RmsNormSilu(KernelData data)
    {
        var pixels = data.Shape.Elements / VaeChannels;
        return new KernelLoad($"{pixels} × {VaeChannels}", 4.0 * pixels * VaeChannels, KernelLoad.Bytes, () => new RmsNormSilu(data.Device).Run(
            data.Q.Pointer, data.Output.Pointer, ElementType.BFloat16, pixels, VaeChannels, data.Vectors.Pointer, silu: true));
    }

    private static KernelLoad Pass(KernelData data, double bytesPerElement, string what, Action work) =>
        new(what, bytesPerElement * data.Shape.Elements, KernelLoad.Bytes, work);

    private static string Width(KernelData data) => $"{data.Shape.Tokens} × {data.Shape.Columns}";
}
