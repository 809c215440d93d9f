using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Fused;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit.Ops;

/// <summary>The low-rank branch by our kernels (docs/kernels.md).</summary>
/// <param name="passes">The kernels.</param>
/// <param name="at">Addresses on their device.</param>
/// <param name="dtype">bfloat16 or float16.</param>
internal sealed class CudaLowRankBranch(LowRankPasses passes, KernelAddress at, ScalarType dtype)
{
    private const double SumScale = 1.0 / 1024;

    /// <summary>See <see cref="IDitOps.AddLowRank"/>; of a rank that the kernels have, and a sparse output in their type.</summary>
    public Tensor Add(LowRankWeights weights, Tensor sparse, Tensor q, Tensor k, Tensor v, Tensor x, LowRankRope rope)
    {
        using var scope = NewDisposeScope();
        AttentionTensor View(Tensor heads) => CudaDevices.View(CudaDevices.Readable(heads), at);
        nint Small(Tensor weight) => at.Of(weight, dtype, "a weight of the low-rank branch");
        var (rows, tokens, dim) = ((int)(q.shape[0] * q.shape[1]), (int)q.shape[2], q.shape[3]);
        var (table, rankTable) = (at.Of(rope.Head.Table, ScalarType.Float32, "the angles"), at.Of(rope.Table, ScalarType.Float32, "the branch's angles"));
        var sums = empty([passes.Chunks(rows, tokens), rows, weights.Rank, dim], ScalarType.Float32, q.device);
        passes.Sum(View(k), View(v), Small(weights.Keys), table, rankTable, at.Of(sums, ScalarType.Float32, "the sums"));
        // Sums over all tokens may be too large for float16; the norm after them takes any factor, and a power of two costs no bit.
        var few = sums.sum([0]).Times(SumScale).to_type(dtype);
        var output = CudaDevices.Readable(sparse);
        passes.Add(
            CudaDevices.View(output, at), View(q), View(x.unflatten(2, [q.shape[1], -1]).transpose(1, 2)), Small(weights.Queries), Small(weights.Gate), Small(weights.GateBias),
            at.Of(few, dtype, "the sums"), table, rankTable, (float)LowRankWeights.SparseEps, (float)(LowRankWeights.BranchEps(dtype) * SumScale * SumScale));
        return (ReferenceEquals(output, sparse) ? sparse.alias() : output).MoveToOuterDisposeScope();
    }
}
