using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// One layer: modulated self-attention, cross-attention to the prompt, modulated feed-forward; the residual stream is
/// float32. Port of WanAttentionBlock, wan/modules/model.py.
/// </summary>
public sealed class WanLayer : Module<ResidualStream, Tensor, WanPrompt, DitRun, int, ResidualStream>
{
    [ComponentName(Name = "norm1")]
    private readonly WanLayerNorm _norm1;

    [ComponentName(Name = "self_attn")]
    private readonly WanSelfAttention _selfAttention;

    [ComponentName(Name = "norm3")]
    private readonly WanLayerNorm? _norm3;

    [ComponentName(Name = "cross_attn")]
    private readonly WanCrossAttention _crossAttention;

    [ComponentName(Name = "norm2")]
    private readonly WanLayerNorm _norm2;

    [ComponentName(Name = "ffn")]
    private readonly WanFeedForward _ffn;

    [ComponentName(Name = "modulation")]
    private readonly Parameter _modulation;

    /// <summary>A layer of a configuration.</summary>
    public WanLayer(DitConfig config, ModuleOptions options)
        : base(nameof(WanLayer))
    {
        _norm1 = new WanLayerNorm(config.Dim, config.Eps, options);
        _selfAttention = new WanSelfAttention(config, options);
        _norm3 = config.CrossAttnNorm ? new WanLayerNorm(config.Dim, config.Eps, options, affine: true) : null;
        _crossAttention = new WanCrossAttention(config, options);
        _norm2 = new WanLayerNorm(config.Dim, config.Eps, options);
        _ffn = new WanFeedForward(config, options);
        _modulation = options.Float32.Parameter(1, 6, config.Dim);
        RegisterComponents();
    }

    /// <summary>One layer.</summary>
    /// <param name="stream">Residual stream in the run's order; may be overwritten. [B, L, C]</param>
    /// <param name="e">The time's modulation, float32. [B, F, 6, C]</param>
    /// <param name="prompt">The prompt.</param>
    /// <param name="run">Layout, angles, attention and step.</param>
    /// <param name="layer">This layer's number.</param>
    public override ResidualStream forward(ResidualStream stream, Tensor e, WanPrompt prompt, DitRun run, int layer)
    {
        using var scope = NewDisposeScope();
        var m = _modulation.unsqueeze(0).Plus(e).unbind(2);

        var ops = run.Ops;

        // Tensors are freed as soon as they are read, not with the scope: two branches fewer at the feed-forward's peak.
        var (x, y, normalized) = (stream.Sum, layer == 0 ? run.Start.Take(prompt, scope) : null, default(Activation));
        var isDeferring = _norm3 is not null && ops.DefersBranches;
        if (y is null)
        {
            (x, normalized) = stream.Normalize(ops, _norm1, shift: m[0], scale: m[1], _selfAttention.TakesRowScalesAlone);
            stream.Branch?.Dispose();
            y = _selfAttention.forward(normalized, run, layer);
            normalized.Dispose();
            if (layer == 0)
            {
                run.Start.Offer(prompt, y, isOverwritten: !isDeferring);
            }
        }
        else
        {
            run.Attention.RepeatFirst(run.Step);
        }

        // Where the ops can, the stream is written once for both branches.
        var waits = isDeferring ? y : null;
        if (waits is not null)
        {
            normalized = ops.NormalizeGated(x, y, m[2], _norm3!, _crossAttention.TakesRowScales);
        }
        else
        {
            (x, normalized) = _norm3 is null ? Twice(ops.AddGated(x, y, m[2])) : ops.AddGatedAndNormalize(x, y, m[2], _norm3, _crossAttention.TakesRowScales);
            y.Dispose();
        }

        y = _crossAttention.forward(normalized, prompt, ops, layer);
        normalized.Dispose();

        (x, normalized) = waits is not null
            ? ops.AddTwoAndNormalize(x, waits, m[2], y, _norm2, _ffn.TakesRowScales, shift: m[3], scale: m[4])
            : ops.AddGatedAndNormalize(x, y, null, _norm2, _ffn.TakesRowScales, shift: m[3], scale: m[4]);
        waits?.Dispose();
        y.Dispose();
        y = _ffn.forward(normalized, ops);
        return new ResidualStream(x, y, m[5]).MoveToOuterDisposeScope();
    }

    private static (Tensor, Activation) Twice(Tensor x) => (x, x.alias());
}
