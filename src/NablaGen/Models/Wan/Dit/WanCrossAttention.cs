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
    : WanProjections(nameof(WanCrossAttention), config, options)
{
    /// <summary>[B, L, C] → [B, L, C].</summary>
    /// <param name="x">Tokens of the video. [B, L, C]</param>
    /// <param name="prompt">The prompt, which keeps this layer's keys and values.</param>
    /// <param name="ops">The ops between the products.</param>
    /// <param name="layer">The layer, from 0.</param>
    public Tensor forward(Tensor x, WanPrompt prompt, IDitOps ops, int layer)
    {
        using var scope = NewDisposeScope();
        var q = ops.NormalizeHeads(NormQ, Q.forward(x), Heads, rope: null);
        var (k, v) = prompt.KeysAndValues(layer, text => (ops.NormalizeHeads(NormK, K.forward(text), Heads, rope: null), Split(V.forward(text))));
        var y = functional.scaled_dot_product_attention(q, k, v);
        return O.forward(Join(y)).MoveToOuterDisposeScope();
    }
}
