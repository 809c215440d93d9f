using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// Attention from the video's tokens to the prompt's, its zero padding included, as the reference has it, and, where the model is told a
/// picture that way, to the picture's; the two are added. Port of WanT2VCrossAttention and WanI2VCrossAttention, wan/modules/model.py.
/// </summary>
public sealed class WanCrossAttention(DitConfig config, ModuleOptions options)
    : WanProjections(nameof(WanCrossAttention), config, options)
{
    // Set before the base class registers what it finds.
    [ComponentName(Name = "k_img")]
    private readonly AutocastLinear? _imageK = config.ImageDim > 0 ? new AutocastLinear(config.Dim, config.Dim, options) : null;

    [ComponentName(Name = "v_img")]
    private readonly AutocastLinear? _imageV = config.ImageDim > 0 ? new AutocastLinear(config.Dim, config.Dim, options) : null;

    [ComponentName(Name = "norm_k_img")]
    private readonly WanRmsNorm? _imageNormK = config is { ImageDim: > 0, QkNorm: true } ? new WanRmsNorm(config.Dim, config.Eps, options) : null;

    /// <summary>[B, L, C] → [B, L, C].</summary>
    /// <param name="x">Tokens of the video. [B, L, C]</param>
    /// <param name="prompt">The prompt and the pictures, which keep this layer's keys and values.</param>
    /// <param name="ops">The ops between the products.</param>
    /// <param name="layer">The layer, from 0.</param>
    public Tensor forward(Activation x, WanPrompt prompt, IDitOps ops, int layer)
    {
        using var scope = NewDisposeScope();
        var q = Q.forward(x);
        // Of padding, whose tokens are all equal, one is enough.
        var padding = (int)(prompt.Text.shape[1] - prompt.Tokens);
        if (padding > 0 && NormQ is not null && _imageK is null && ops.TakesTextOf(prompt.Tokens, q.shape[2] / Heads))
        {
            var (few, values, most) = prompt.TextKeysAndValues(layer, all =>
            {
                var (k, v) = Project(all.narrow(1, 0, prompt.Tokens).contiguous(), ops, keys => IDitOps.WeighKeys(NormQ, keys));
                return (k, v, O.Matrix.TakesRowScales ? IDitOps.Largest(v) : null);
            });
            return O.forward(ops.AttendToText(NormQ, q, few, values, padding + 1, most)).MoveToOuterDisposeScope();
        }

        q = ops.NormalizeHeads(NormQ, q, Heads, rope: null);
        var (k, v, _) = prompt.TextKeysAndValues(layer, text =>
        {
            var (keys, values) = Project(text, ops, all => all);
            return (keys, values, null);
        });
        var y = functional.scaled_dot_product_attention(q, k, v);
        if (_imageK is not null && _imageV is not null)
        {
            var (imageK, imageV, _) = prompt.ImageKeysAndValues(
                layer, image => (ops.NormalizeHeads(_imageNormK, _imageK.forward(image), Heads, rope: null), Split(_imageV.forward(image)), null));
            y = y.Plus(functional.scaled_dot_product_attention(q, imageK, imageV));
        }

        return O.forward(Join(y)).MoveToOuterDisposeScope();
    }

    private (Tensor K, Tensor V) Project(Tensor text, IDitOps ops, Func<Tensor, Tensor> prepare) =>
        (prepare(ops.NormalizeHeads(NormK, K.forward(text), Heads, rope: null)), Split(V.forward(text)));
}
