using NablaGen.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// The low-rank branch by libtorch, in float32, a head at a time, so that it needs memory for one head alone: on any device and in any type, and the
/// reference for the kernels. Port of _lowrank_attn and the gated sum, sparkdiffusion/networks/wan_rola_attention.py.
/// </summary>
internal static class LowRankBranch
{
    /// <inheritdoc cref="Ops.IDitOps.AddLowRank"/>
    public static Tensor Add(LowRankWeights weights, Tensor sparse, Tensor q, Tensor k, Tensor v, Tensor x, LowRankRope rope)
    {
        using var scope = NewDisposeScope();
        var heads = (int)q.shape[1];
        var inputs = x.unflatten(2, [heads, -1]).transpose(1, 2);
        var (gate, bias) = (Float(weights.Gate), Float(weights.GateBias));
        var branchEps = LowRankWeights.BranchEps(v.dtype);
        var output = empty_like(sparse);
        for (var head = 0; head < heads; head++)
        {
            using var headScope = NewDisposeScope();
            Tensor Of(Tensor all) => Float(all.select(1, head));
            var few = Project(Of(k), weights.Keys, rope).transpose(1, 2).matmul(Of(v));
            var branch = Project(Of(q), weights.Queries, rope).matmul(few);
            var own = Of(sparse);
            var open = functional.sigmoid(functional.linear(Of(inputs), gate).Plus(bias[0, head, 0, 0]));
            var normalised = branch * RootMeanSquare(branch, branchEps).reciprocal();
            output.select(1, head).copy_(own.Plus(normalised * open * RootMeanSquare(own, LowRankWeights.SparseEps)));
        }

        return output.MoveToOuterDisposeScope();
    }

    // [B, L, D] → SiLU of the projection before RoPE, then turned by the first angles. [B, L, rank]
    private static Tensor Project(Tensor turned, Tensor weight, LowRankRope rope)
    {
        using var scope = NewDisposeScope();
        var plain = RopeTable.Turn(turned, rope.Head.Table, back: true);
        return RopeTable.Turn(functional.silu(functional.linear(plain, Float(weight))), rope.Table, back: false).MoveToOuterDisposeScope();
    }

    private static Tensor RootMeanSquare(Tensor x, double eps)
    {
        using var scope = NewDisposeScope();
        return x.Squared().mean([-1], keepdim: true).Plus(eps).sqrt().MoveToOuterDisposeScope();
    }

    private static Tensor Float(Tensor x) => x.to_type(ScalarType.Float32);
}
