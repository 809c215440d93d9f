using NablaGen.Models.Layers;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Dit;

/// <summary>
/// Attention from the video's tokens to the prompt's, its zero padding included, as the reference has it. Port of
/// WanT2VCrossAttention, wan/modules/model.py.
/// </summary>
public sealed class WanCrossAttention : Module<Tensor, Tensor, Tensor>
{
    private readonly int _heads;

    [ComponentName(Name = "q")]
    private readonly AutocastLinear _q;

    [ComponentName(Name = "k")]
    private readonly AutocastLinear _k;

    [ComponentName(Name = "v")]
    private readonly AutocastLinear _v;

    [ComponentName(Name = "o")]
    private readonly AutocastLinear _o;

    [ComponentName(Name = "norm_q")]
    private readonly WanRmsNorm? _normQ;

    [ComponentName(Name = "norm_k")]
    private readonly WanRmsNorm? _normK;

    /// <summary>The layer of a configuration.</summary>
    public WanCrossAttention(DitConfig config, ModuleOptions options)
        : base(nameof(WanCrossAttention))
    {
        _heads = config.NumHeads;
        _q = new AutocastLinear(config.Dim, config.Dim, options);
        _k = new AutocastLinear(config.Dim, config.Dim, options);
        _v = new AutocastLinear(config.Dim, config.Dim, options);
        _o = new AutocastLinear(config.Dim, config.Dim, options);
        _normQ = config.QkNorm ? new WanRmsNorm(config.Dim, config.Eps, options) : null;
        _normK = config.QkNorm ? new WanRmsNorm(config.Dim, config.Eps, options) : null;
        RegisterComponents();
    }

    /// <summary>x [B, L, C], context [B, TextLen, C] → [B, L, C].</summary>
    public override Tensor forward(Tensor x, Tensor context)
    {
        using var scope = NewDisposeScope();
        var v = Heads(_v.forward(context), null);
        var q = Heads(_q.forward(x), _normQ).to_type(v.dtype);
        var k = Heads(_k.forward(context), _normK).to_type(v.dtype);
        var y = functional.scaled_dot_product_attention(q, k, v);
        return _o.forward(y.transpose(1, 2).flatten(2)).MoveToOuterDisposeScope();
    }

    // [B, L, C] → [B, H, L, D]
    private Tensor Heads(Tensor x, WanRmsNorm? norm) => (norm is null ? x : norm.forward(x)).unflatten(2, [_heads, -1]).transpose(1, 2);
}
