using System.Runtime.InteropServices;
using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>
/// The low-rank branch of sparse + low-rank attention (RoLa) in two passes over memory: one sums what keys and values come to, the other adds the
/// gated branch to the sparse output. Contracts: low_rank_sum.cu, low_rank_add.cu.
/// </summary>
/// <param name="device">Where it runs.</param>
public sealed class LowRankPasses(CudaDevice device)
{
    /// <summary>The rank that there are kernels for.</summary>
    public const int Rank = LaunchConstants.LowRank;

    // Thread blocks that a multiprocessor has room for, and a few turns of them, so that the last turn's rest is small.
    private const int ThreadBlocks = 3;
    private const int Turns = 2;

    /// <summary>How many parts the tokens are summed in, for the room of the sums.</summary>
    /// <param name="rows">Batch times heads.</param>
    /// <param name="tokens">Tokens of a sequence.</param>
    public int Chunks(int rows, int tokens) => ChunksOf(device.Multiprocessors, rows, tokens);

    /// <summary>Puts Σ k'ᵀ v on the stream. Addresses are device addresses.</summary>
    /// <param name="k">Keys after norm and RoPE.</param>
    /// <param name="v">Values, of the same shape and type.</param>
    /// <param name="weight">The keys' projection, elements [<see cref="Rank"/>, head size].</param>
    /// <param name="table">float32 [tokens, head size / 2, 2], cosine and sine of the keys' angles.</param>
    /// <param name="rankTable">float32 [tokens, <see cref="Rank"/> / 2, 2], the branch's.</param>
    /// <param name="sums">float32 [<see cref="Chunks"/>, batch · heads, <see cref="Rank"/>, head size].</param>
    /// <param name="stream">The stream.</param>
    public void Sum(AttentionTensor k, AttentionTensor v, nint weight, nint table, nint rankTable, nint sums, nint stream = 0)
    {
        k.Require("k");
        v.Require("v");
        v.RequireLike(k, "v");
        FusedOp.RequireAligned([weight, table, rankTable, sums]);
        var work = new SumWork
        {
            K = k.Pointer,
            V = v.Pointer,
            Weight = weight,
            Table = table,
            RankTable = rankTable,
            Sums = sums,
            KStrides = new TensorStrides(k),
            VStrides = new TensorStrides(v),
            Heads = k.Heads,
            Tokens = k.Tokens,
        };
        device.Kernel("low_rank_sum", k.Macros()).Launch(
            (k.Rows, Chunks(k.Rows, k.Tokens), 1), LaunchConstants.LowRankThreads, TileBytes(k) * 2 + WeightBytes(k) + 2 * LaunchConstants.Block * Rank, stream, work);
    }

    /// <summary>Puts the gated sum on the stream.</summary>
    /// <param name="output">What the sparse attention gave; overwritten.</param>
    /// <param name="q">Queries after norm and RoPE, of the same shape and type.</param>
    /// <param name="x">The self-attention's input, a head's channels of it, of the same shape and type.</param>
    /// <param name="weight">The queries' projection, elements [<see cref="Rank"/>, head size].</param>
    /// <param name="gate">Elements [head size].</param>
    /// <param name="bias">Elements [heads].</param>
    /// <param name="sums">Elements [batch · heads, <see cref="Rank"/>, head size]: the sums times a factor.</param>
    /// <param name="table">As for <see cref="Sum"/>.</param>
    /// <param name="rankTable">As for <see cref="Sum"/>.</param>
    /// <param name="sparseEps">Added to the mean square of the sparse output.</param>
    /// <param name="branchEps">Added to the mean square of the branch's, times the factor's square.</param>
    /// <param name="stream">The stream.</param>
    public void Add(
        AttentionTensor output, AttentionTensor q, AttentionTensor x, nint weight, nint gate, nint bias, nint sums, nint table, nint rankTable,
        float sparseEps, float branchEps, nint stream = 0)
    {
        output.Require("output");
        q.Require("q");
        x.Require("x");
        q.RequireLike(output, "q");
        x.RequireLike(output, "x");
        FusedOp.RequireAligned([weight, sums, table, rankTable]);
        var work = new AddWork
        {
            Q = q.Pointer,
            X = x.Pointer,
            Weight = weight,
            Gate = gate,
            Bias = bias,
            Sums = sums,
            Output = output.Pointer,
            Table = table,
            RankTable = rankTable,
            QStrides = new TensorStrides(q),
            XStrides = new TensorStrides(x),
            OutputStrides = new TensorStrides(output),
            Heads = q.Heads,
            Tokens = q.Tokens,
            SparseEps = sparseEps,
            BranchEps = branchEps,
        };
        device.Kernel("low_rank_add", q.Macros()).Launch(
            (q.Rows, Chunks(q.Rows, q.Tokens), 1), LaunchConstants.LowRankThreads, TileBytes(q) + 2 * WeightBytes(q) + 4 * q.HeadSize, stream, work);
    }

    internal static int ChunksOf(int multiprocessors, int rows, int tokens)
    {
        var tiles = (tokens + LaunchConstants.Block - 1) / LaunchConstants.Block;
        return Math.Clamp((multiprocessors * ThreadBlocks * Turns + rows - 1) / rows, 1, tiles);
    }

    private static int TileBytes(AttentionTensor x) => 2 * LaunchConstants.Block * x.HeadSize;

    private static int WeightBytes(AttentionTensor x) => 2 * Rank * x.HeadSize;

    [StructLayout(LayoutKind.Sequential)]
    private struct SumWork
    {
        public nint K;
        public nint V;
        public nint Weight;
        public nint Table;
        public nint RankTable;
        public nint Sums;
        public TensorStrides KStrides;
        public TensorStrides VStrides;
        public int Heads;
        public int Tokens;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct AddWork
    {
        public nint Q;
        public nint X;
        public nint Weight;
        public nint Gate;
        public nint Bias;
        public nint Sums;
        public nint Output;
        public nint Table;
        public nint RankTable;
        public TensorStrides QStrides;
        public TensorStrides XStrides;
        public TensorStrides OutputStrides;
        public int Heads;
        public int Tokens;
        public float SparseEps;
        public float BranchEps;
    }
}
