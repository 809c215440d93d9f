using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// Attention from the video's tokens to the prompt's, its zero padding included, as the reference has it. Port of
/// WanT2VCrossAttention, wan/modules/model.py.
/// </summary>
public sealed class WanCrossAttention(DitConfig config, ModuleOptions options)
    : WanProjections<Tensor, Tensor, IDitOps>(nameof(WanCrossAttention), config, options)
{
    /// <summary>x [B, L, C], context [B, TextLen, C] → [B, L, C].</summary>
    public override Tensor forward(Tensor x, Tensor context, IDitOps ops)
    {
        using var scope = NewDisposeScope();
        var q = ops.NormalizeHeads(NormQ, Q.forward(x), Heads, rope: null);
        var k = ops.NormalizeHeads(NormK, K.forward(context), Heads, rope: null);
        var v = Split(V.forward(context));
        var y = functional.scaled_dot_product_attention(q, k, v);
        return O.forward(Join(y)).MoveToOuterDisposeScope();
    }
}
