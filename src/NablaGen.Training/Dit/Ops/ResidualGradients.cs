using static TorchSharp.torch;

namespace NablaGen.Training.Dit.Ops;

/// <summary>Gradients of what a residual sum and its norm have taken in; null for what they had not.</summary>
/// <param name="X">[B, L, C]</param>
/// <param name="Y">[B, L, C]</param>
/// <param name="Gate">[B, 1, C]</param>
/// <param name="Gain">[C] or [B, 1, C]</param>
/// <param name="Offset">[C] or [B, 1, C]</param>
internal sealed record ResidualGradients(Tensor X, Tensor? Y = null, Tensor? Gate = null, Tensor? Gain = null, Tensor? Offset = null)
{
    /// <summary>All, in the order of the function's inputs.</summary>
    public Tensor?[] All => [X, Y, Gate, Gain, Offset];
}
