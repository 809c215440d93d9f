using NablaGen.Attention;
using NablaGen.Models.Layers;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Dit;

/// <summary>Self-attention with RMSNorm and RoPE on queries and keys. Port of WanSelfAttention, wan/modules/model.py.</summary>
public sealed class WanSelfAttention : Module<Tensor, DitRun, int, Tensor>
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
    public WanSelfAttention(DitConfig config, ModuleOptions options)
        : base(nameof(WanSelfAttention))
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

    /// <summary>[B, L, C] → [B, L, C].</summary>
    /// <param name="x">Tokens in the run's order.</param>
    /// <param name="run">Layout, angles, attention and step.</param>
    /// <param name="layer">This block's number.</param>
    public override Tensor forward(Tensor x, DitRun run, int layer)
    {
        using var scope = NewDisposeScope();
        var q = run.Passes.NormalizeHeads(_normQ, _q.forward(x), _heads, run.Rope);
        var k = run.Passes.NormalizeHeads(_normK, _k.forward(x), _heads, run.Rope);
        var v = _v.forward(x).unflatten(2, [_heads, -1]).transpose(1, 2);
        var y = run.Attention.Forward(q, k, v, run.Layout, new AttentionSite(run.Step, layer));
        return _o.forward(y.transpose(1, 2).flatten(2)).MoveToOuterDisposeScope();
    }
}
