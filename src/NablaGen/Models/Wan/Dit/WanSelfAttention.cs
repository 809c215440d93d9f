using NablaGen.Attention;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// Self-attention with RMSNorm and RoPE on queries and keys, and, in a model that has one, a low-rank branch that is added to it. Port of
/// WanSelfAttention, wan/modules/model.py, and of WanSelfAttentionRoLa, sparkdiffusion/networks/wan_rola_attention.py.
/// </summary>
public sealed class WanSelfAttention : WanProjections
{
    /// <summary>A self-attention with unread weights.</summary>
    public WanSelfAttention(DitConfig config, ModuleOptions options)
        : base(nameof(WanSelfAttention), config, options)
    {
        if (config.LowRank == 0)
        {
            return;
        }

        // The checkpoint has them beside q, k and v, not under a name of the branch's own.
        var (projQ, projK, gate) = (new SmallMatrix(config.LowRank, config.HeadDim, options.Dense), new SmallMatrix(config.LowRank, config.HeadDim, options.Dense), new SmallMatrix(1, config.HeadDim, options.Dense));
        LowRank = new LowRankWeights(projQ.Weight, projK.Weight, gate.Weight, options.Dense.Parameter(1, config.NumHeads, 1, 1));
        register_module("proj_q", projQ);
        register_module("proj_k", projK);
        register_module("gate_proj", gate);
        register_parameter("gate_bias", LowRank.GateBias);
    }

    /// <summary>The low-rank branch's weights; null where there is none.</summary>
    public LowRankWeights? LowRank { get; }

    /// <summary>Whether the tokens may come in fp8: not where the gate reads them, too.</summary>
    public bool TakesRowScalesAlone => TakesRowScales && LowRank is null;

    /// <summary>[B, L, C] → [B, L, C].</summary>
    /// <param name="x">Tokens in the run's order.</param>
    /// <param name="run">Layout, angles, attention and step.</param>
    /// <param name="layer">This layer's number.</param>
    public Tensor forward(Activation x, DitRun run, int layer)
    {
        using var scope = NewDisposeScope();
        Tensor y;
        // A product in fp8 takes rows that the attention has quantised, where nothing is added to them first.
        var fp8 = LowRank is null && O.Matrix.TakesRowScales ? new Fp8Output() : null;
        // Queries, keys and values are freed before the last product allocates more memory.
        using (NewDisposeScope())
        {
            var (q, k, v, means) = Joined(x, run) ?? Apart(x, run);
            y = run.Attention.Forward(q, k, v, run.Layout, new AttentionSite(run.Step, layer) { Fp8 = fp8 }, means);
            y = LowRank is null ? y : run.Ops.AddLowRank(LowRank, y, q, k, v, x.Values, run.LowRankRope!);
            y.MoveToOuterDisposeScope();
        }

        if (fp8?.RowScales is { } scales)
        {
            scope.Attach(scales);
            return O.forward(new Activation(Join(y), scales)).MoveToOuterDisposeScope();
        }

        return O.forward(Join(y)).MoveToOuterDisposeScope();
    }

    // Three products, as the reference has them.
    private (Tensor Q, Tensor K, Tensor V, BlockMeans? Means) Apart(Activation x, DitRun run)
    {
        var pools = run.Attention.TakesBlockMeans;
        var (q, meansQ) = run.Ops.NormalizeHeads(NormQ, Q.forward(x), Heads, run.Rope, pools);
        var (k, meansK) = run.Ops.NormalizeHeads(NormK, K.forward(x), Heads, run.Rope, pools);
        return (q, k, Split(V.forward(x)), meansQ is null || meansK is null ? null : new BlockMeans(meansQ, meansK));
    }

    // One product, and one op for the norm and the rotation of both queries and keys; null where the ops or the memory do not suit.
    private (Tensor Q, Tensor K, Tensor V, BlockMeans? Means)? Joined(Activation x, DitRun run)
    {
        if (!run.Ops.TakesJoinedHeads || NormQ is null || NormK is null || AutocastLinear.ForwardJoined(x, Q, K, V) is not { } all)
        {
            return null;
        }

        var (q, k, means) = run.Ops.NormalizeJoinedHeads(NormQ, NormK, all, Heads, run.Rope, run.Attention.TakesBlockMeans);
        return (q, k, Split(all.narrow(2, 2 * all.shape[2] / 3, all.shape[2] / 3)), means);
    }
}
