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
        new("layer_norm_modulate", data => Pass(data, 6, Width(data), () => new LayerNormModulate(data.Device).Run(
            data.Stream.Pointer, data.Output.Pointer, ElementType.BFloat16, data.Shape.Tokens, data.Shape.Columns, Epsilon,
            scale: data.Vectors.Pointer, shift: data.Vectors.Pointer))),
        new("rms_norm_rope", RmsNormRope),
        new("gate_residual", data => Pass(data, 10, Width(data), () => new GateResidual(data.Device).Run(
            data.Stream.Pointer, data.Q.Pointer, ElementType.BFloat16, data.Shape.Tokens, data.Shape.Columns, data.Vectors.Pointer))),
        new("gate_residual_norm", data => Pass(data, 12, Width(data), () => new GateResidualNorm(data.Device).Run(
            data.Stream.Pointer, data.Q.Pointer, data.Output.Pointer, ElementType.BFloat16, data.Shape.Tokens, data.Shape.Columns, Epsilon,
            data.Vectors.Pointer, scale: data.Vectors.Pointer, shift: data.Vectors.Pointer))),
        new("gelu_tanh", data => Pass(data, 4, Width(data), () => new GeluTanh(data.Device).Run(
            data.Q.Pointer, data.Output.Pointer, ElementType.BFloat16, data.Shape.Elements))),
        new("rms_norm_silu", RmsNormSilu),
    ];

    private static KernelLoad RmsNormRope(KernelData data)
    {
        var shape = data.Shape;
        var means = data.Room("means", 4L * shape.Blocks * shape.Columns);
        return Pass(data, 4, $"Q or K, pooled, {Width(data)}", () => new RmsNormRope(data.Device).Run(
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
