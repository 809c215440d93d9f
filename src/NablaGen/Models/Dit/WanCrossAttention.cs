using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Dit;

/// <summary>
/// Attention from the video's tokens to the prompt's, its zero padding included, as the reference has it. Port of
/// WanT2VCrossAttention, wan/modules/model.py.
/// </summary>
public sealed class WanCrossAttention(DitConfig config, ModuleOptions options)
    : WanProjections<Tensor, Tensor, IDitPasses>(nameof(WanCrossAttention), config, options)
{
    /// <summary>x [B, L, C], context [B, TextLen, C] → [B, L, C].</summary>
    public override Tensor forward(Tensor x, Tensor context, IDitPasses passes)
    {
        using var scope = NewDisposeScope();
        var q = passes.NormalizeHeads(NormQ, Q.forward(x), Heads, rope: null);
        var k = passes.NormalizeHeads(NormK, K.forward(context), Heads, rope: null);
        var v = Split(V.forward(context));
        var y = functional.scaled_dot_product_attention(q, k, v);
        return O.forward(Join(y)).MoveToOuterDisposeScope();
    }
}
