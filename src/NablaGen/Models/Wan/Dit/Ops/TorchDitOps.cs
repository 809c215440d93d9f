using NablaGen.Attention;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit.Ops;

/// <summary>The ops by libtorch, on any device and in any type; the reference for the others.</summary>
public sealed class TorchDitOps : IDitOps
{
    /// <inheritdoc/>
    public Tensor Modulate(WanLayerNorm norm, Tensor x, Tensor shift, Tensor scale)
    {
        using var scope = NewDisposeScope();
        return TokenGroups.Modulate(norm.forward(x), shift, scale).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Activation Modulate(WanLayerNorm norm, Tensor x, Tensor shift, Tensor scale, bool rowScales) => For(Modulate(norm, x, shift, scale), rowScales);

    /// <inheritdoc/>
    public Tensor Normalize(WanLayerNorm norm, Tensor x) => norm.forward(x);

    /// <inheritdoc/>
    public Tensor NormalizeHeads(WanRmsNorm? norm, Tensor x, int heads, RopeTable? rope)
    {
        using var scope = NewDisposeScope();
        var normalised = (norm is null ? x : norm.forward(x)).unflatten(2, [heads, -1]);
        var turned = rope is null ? normalised : rope.Rotate(normalised);
        return turned.transpose(1, 2).to_type(x.dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public bool TakesJoinedHeads { get; init; }

    /// <inheritdoc/>
    public (Tensor Q, Tensor K, BlockMeans? Means) NormalizeJoinedHeads(WanRmsNorm normQ, WanRmsNorm normK, Tensor joined, int heads, RopeTable rope, bool wantsMeans)
    {
        using var scope = NewDisposeScope();
        var columns = joined.shape[2] / 3;
        return (NormalizeHeads(normQ, joined.narrow(2, 0, columns), heads, rope).MoveToOuterDisposeScope(),
            NormalizeHeads(normK, joined.narrow(2, columns, columns), heads, rope).MoveToOuterDisposeScope(), null);
    }

    /// <inheritdoc/>
    public Tensor AddGated(Tensor x, Tensor y, Tensor? gate)
    {
        using var scope = NewDisposeScope();
        return x.Plus(gate is null ? y : TokenGroups.Times(y, gate)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public (Tensor X, Tensor Normalized) AddGatedAndNormalize(
        Tensor x, Tensor y, Tensor? gate, WanLayerNorm norm, Tensor? shift = null, Tensor? scale = null)
    {
        var sum = AddGated(x, y, gate);
        return (sum, shift is null ? Normalize(norm, sum) : Modulate(norm, sum, shift, scale!));
    }

    /// <inheritdoc/>
    public (Tensor X, Activation Normalized) AddGatedAndNormalize(
        Tensor x, Tensor y, Tensor? gate, WanLayerNorm norm, bool rowScales, Tensor? shift = null, Tensor? scale = null)
    {
        var (sum, normalized) = AddGatedAndNormalize(x, y, gate, norm, shift, scale);
        return (sum, For(normalized, rowScales));
    }

    /// <inheritdoc/>
    public Tensor LinearGelu(AutocastLinear layer, Tensor x)
    {
        using var scope = NewDisposeScope();
        return functional.gelu(layer.forward(x), TorchSharp.Modules.GELU.Approximate.tanh).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Activation LinearGelu(AutocastLinear layer, Activation x, bool rowScales)
    {
        using var scope = NewDisposeScope();
        var y = For(functional.gelu(layer.forward(x), TorchSharp.Modules.GELU.Approximate.tanh), rowScales);
        return new Activation(y.Values.MoveToOuterDisposeScope(), y.RowScales?.MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    // x itself, or its rows in fp8 in its place.
    private static Activation For(Tensor x, bool rowScales)
    {
        if (!rowScales)
        {
            return x;
        }

        using (x)
        {
            return Fp8Rows.Quantize(x);
        }
    }
}
