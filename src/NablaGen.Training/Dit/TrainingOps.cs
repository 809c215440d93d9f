using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Training.Dit;

/// <summary>
/// The passes with a gradient, as few and as narrow operations as libtorch has: branches are in the products' type (16 bits on a GPU, which
/// halves what autograd keeps), the residual stream in float32. In float32 they give what <see cref="TorchDitOps"/> gives.
/// </summary>
/// <param name="dtype">The type of the products.</param>
public sealed class TrainingOps(ScalarType dtype) : IDitOps
{
    // (x, y) → (x cos − y sin, y cos + x sin) = (x, y) · (cos, cos) + (y, x) · (−sin, sin). [L, 1, D / 2, 2]
    private Tensor? _cos;
    private Tensor? _sin;

    /// <inheritdoc/>
    public Tensor Modulate(WanLayerNorm norm, Tensor x, Tensor shift, Tensor scale)
    {
        using var scope = NewDisposeScope();
        return shift.to_type(dtype).PlusProduct(norm.forward(x).to_type(dtype), scale.Plus(1).to_type(dtype)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor Normalize(WanLayerNorm norm, Tensor x)
    {
        using var scope = NewDisposeScope();
        return norm.forward(x).to_type(dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor NormalizeHeads(WanRmsNorm? norm, Tensor x, int heads, RopeTable? rope)
    {
        using var scope = NewDisposeScope();
        if (norm is not null)
        {
            var length = linalg.vector_norm(x, 2, [-1], keepdim: true).to_type(ScalarType.Float32);
            var scale = length.Squared().Over(x.shape[2]).Plus(norm.Eps).rsqrt();
            x = x * scale.to_type(dtype) * norm.Weight.to_type(dtype);
        }

        x = x.unflatten(2, [heads, -1]);
        if (rope is not null)
        {
            _cos ??= Columns(rope, 0, 1);
            _sin ??= Columns(rope, 1, -1);
            var pairs = x.unflatten(3, [-1, 2]);
            x = (pairs * _cos).PlusProduct(pairs.flip(-1), _sin).flatten(3);
        }

        return x.transpose(1, 2).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor AddGated(Tensor x, Tensor y, Tensor? gate)
    {
        using var scope = NewDisposeScope();
        return x.Plus(gate is null ? y : y * gate.to_type(dtype)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public (Tensor X, Tensor Normalized) AddGatedAndNormalize(
        Tensor x, Tensor y, Tensor? gate, WanLayerNorm norm, Tensor? shift = null, Tensor? scale = null)
    {
        var sum = AddGated(x, y, gate);
        return (sum, shift is null ? Normalize(norm, sum) : Modulate(norm, sum, shift, scale!));
    }

    /// <inheritdoc/>
    public Tensor LinearGelu(AutocastLinear layer, Tensor x)
    {
        using var scope = NewDisposeScope();
        return functional.gelu(layer.forward(x), TorchSharp.Modules.GELU.Approximate.tanh).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _cos?.Dispose();
        _sin?.Dispose();
    }

    private Tensor Columns(RopeTable rope, int column, int firstSign)
    {
        using var scope = NewDisposeScope();
        var values = rope.Table.unsqueeze(1).select(-1, column);
        return stack([values.Times(firstSign), values], -1).to_type(dtype).DetachFromDisposeScope();
    }
}
