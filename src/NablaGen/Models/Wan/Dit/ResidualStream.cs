using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// The residual stream between two layers. The last branch is not added yet: the next reader adds it in the op that
/// normalises, which saves reading the stream once more.
/// </summary>
/// <param name="Sum">The stream so far, float32. [B, L, C]</param>
/// <param name="Branch">What is still to be added; null for nothing. [B, L, C]</param>
/// <param name="Gate">Its factor, float32. [B, F, C]</param>
public readonly record struct ResidualStream(Tensor Sum, Tensor? Branch = null, Tensor? Gate = null) : IDisposable
{
    /// <summary>The stream with everything added, and its modulated norm, in fp8 where the next product takes that; the tensors here may be overwritten.</summary>
    public (Tensor X, Activation Normalized) Normalize(IDitOps ops, WanLayerNorm norm, Tensor shift, Tensor scale, bool rowScales) => Branch is null
        ? (Sum, ops.Modulate(norm, Sum, shift, scale, rowScales))
        : ops.AddGatedAndNormalize(Sum, Branch, Gate, norm, rowScales, shift, scale);

    /// <summary>The stream with everything added; the tensors here may be overwritten. [B, L, C]</summary>
    public Tensor Add(IDitOps ops) => Branch is null ? Sum : ops.AddGated(Sum, Branch, Gate);

    /// <summary>Moves its tensors to the enclosing scope.</summary>
    public ResidualStream MoveToOuterDisposeScope() =>
        new(Sum.MoveToOuterDisposeScope(), Branch?.MoveToOuterDisposeScope(), Gate?.MoveToOuterDisposeScope());

    /// <inheritdoc/>
    public void Dispose()
    {
        Sum.Dispose();
        Branch?.Dispose();
        Gate?.Dispose();
    }
}
