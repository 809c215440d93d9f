using NablaGen.Models.Layers;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Dit;

/// <summary>
/// Attention from the video's tokens to the prompt's, its zero padding included, as the reference has it. Port of
/// WanT2VCrossAttention, wan/modules/model.py.
/// </summary>
public sealed class WanCrossAttention : Module<Tensor, Tensor, IDitPasses, Tensor>
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
    public override Tensor forward(Tensor x, Tensor context, IDitPasses passes)
    {
        using var scope = NewDisposeScope();
        var q = passes.NormalizeHeads(_normQ, _q.forward(x), _heads, rope: null);
        var k = passes.NormalizeHeads(_normK, _k.forward(context), _heads, rope: null);
        var v = _v.forward(context).unflatten(2, [_heads, -1]).transpose(1, 2);
        var y = functional.scaled_dot_product_attention(q, k, v);
        return _o.forward(y.transpose(1, 2).flatten(2)).MoveToOuterDisposeScope();
    }
}
