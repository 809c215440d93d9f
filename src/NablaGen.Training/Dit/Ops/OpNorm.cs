using static TorchSharp.torch;

namespace NablaGen.Training.Dit.Ops;

/// <summary>A LayerNorm with weight and bias, with a modulation, or with neither.</summary>
/// <param name="Gain">float32: the weight [C], or the scale [B, 1, C], to which 1 is added; null for 1.</param>
/// <param name="Offset">float32: the bias [C] or the shift [B, 1, C], with the gain; its value is of no matter for gradients.</param>
/// <param name="IsModulation">Whether they are scale and shift.</param>
/// <param name="Epsilon">Added to the variance.</param>
internal sealed record OpNorm(Tensor? Gain, Tensor? Offset, bool IsModulation, double Epsilon)
{
    /// <summary>The gain of a norm without modulation.</summary>
    public Tensor? Weight => IsModulation ? null : Gain;

    /// <summary>The offset of a norm without modulation.</summary>
    public Tensor? Bias => IsModulation ? null : Offset;

    /// <summary>The gain of a modulation.</summary>
    public Tensor? Scale => IsModulation ? Gain : null;

    /// <summary>The offset of a modulation.</summary>
    public Tensor? Shift => IsModulation ? Offset : null;
}
