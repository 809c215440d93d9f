using static TorchSharp.torch;

namespace NablaGen.Training.Dit.Ops;

/// <summary>
/// The passes of a training step and their gradients, each one kernel on CUDA. Nothing here is seen by autograd: <see cref="ResidualFunction"/>
/// and <see cref="HeadsFunction"/> join the two.
/// </summary>
internal interface IOpKernels : IDisposable
{
    /// <summary>x + y · gate, and its norm for the next branch: n · (base + gain) + offset with n = LayerNorm without weights.</summary>
    /// <param name="x">Residual stream, float32. [B, L, C]</param>
    /// <param name="y">A branch's output, 16-bit; null for a norm alone. [B, L, C]</param>
    /// <param name="gate">float32; null for 1. [B, 1, C]</param>
    /// <param name="norm">The norm; null for a sum alone.</param>
    /// <returns>New tensors: the sum (null without a branch), and of the norm the result, 16-bit, and its rows' statistics.</returns>
    (Tensor? Sum, Tensor? Normalized, Tensor? Statistics) AddAndNormalize(Tensor x, Tensor? y, Tensor? gate, OpNorm? norm);

    /// <summary>The gradients of <see cref="AddAndNormalize"/>.</summary>
    /// <param name="sum">What was normalised; null without a norm.</param>
    /// <param name="statistics">The norm's statistics; null without one.</param>
    /// <param name="y">The branch's output; null without a gate.</param>
    /// <param name="gate">As it was.</param>
    /// <param name="norm">As it was, but for its offset; null also where its result has no gradient.</param>
    /// <param name="branch">The branch's type; null without one.</param>
    /// <param name="sumGradient">Gradient of the sum from elsewhere, float32; null for none. [B, L, C]</param>
    /// <param name="normalizedGradient">Gradient of the norm's result, 16-bit; null without a norm. [B, L, C]</param>
    /// <returns>New tensors in the inputs' types and shapes, but for the gradient of x where it is that of the sum.</returns>
    ResidualGradients Differentiate(
        Tensor? sum, Tensor? statistics, Tensor? y, Tensor? gate, OpNorm? norm, ScalarType? branch, Tensor? sumGradient,
        Tensor? normalizedGradient);

    /// <summary>RMSNorm over all heads, then rotation. A new tensor in the type of x. [B, L, C] → [B, L, C]</summary>
    /// <param name="x">Queries or keys, 16-bit. [B, L, C]</param>
    /// <param name="weight">float32. [C]</param>
    /// <param name="call">Heads and angles.</param>
    Tensor NormalizeHeads(Tensor x, Tensor weight, HeadsCall call);

    /// <summary>The gradients of <see cref="NormalizeHeads"/>: of x in its type, of the weight in float32.</summary>
    (Tensor X, Tensor Weight) DifferentiateHeads(Tensor x, Tensor weight, HeadsCall call, Tensor gradient);
}
