using System.Runtime.CompilerServices;
using NablaGen.Attention;
using NablaGen.Attention.Cpu;

namespace NablaGen.Training.Attention.Cpu;

/// <summary>
/// Gradients of one head's block-sparse attention. The weights P = e^(S − lse) are computed anew a block pair at a time;
/// with dP = dO Vᵀ and the row sums o = rowsum(dO ∘ O), dS = P ∘ (dP − o). Query blocks gather dQ = dS K over their lists; then key
/// blocks gather dV = Pᵀ dO and dK = dSᵀ Q over the transposed ones. Each block is written by one thread, so the result does not
/// depend on the threads.
/// </summary>
internal static unsafe class BlockSparseBackwardKernel
{
    private const int BlockSize = BlockLayout.BlockSize;

    /// <summary>Writes the three gradients; a block without partners gets zeros.</summary>
    /// <param name="packed">The head.</param>
    /// <param name="mask">The blocks that the forward pass kept.</param>
    /// <param name="queries">The same, by key block.</param>
    /// <param name="head">The head's number in <paramref name="mask"/>.</param>
    /// <param name="q">[L, D]</param>
    /// <param name="k">[L, D]</param>
    /// <param name="v">[L, D]</param>
    public static void Run(PackedGradient packed, BlockMask mask, QueryLists queries, int head, float* q, float* k, float* v)
    {
        if (packed.Lanes == Lanes16.Count)
        {
            Run<Lanes16>(packed, mask, queries, head, q, k, v);
        }
        else
        {
            Run<Lanes8>(packed, mask, queries, head, q, k, v);
        }
    }

    private static void Run<T>(PackedGradient packed, BlockMask mask, QueryLists queries, int head, float* q, float* k, float* v)
        where T : struct, ILanes<T>
    {
        ForEachBlock(packed, (block, scratch) => Queries<T>(packed, block, mask.Row(head, block), scratch, q));
        ForEachBlock(packed, (block, scratch) => Keys<T>(packed, block, queries.Of(head, block), scratch, k, v));
    }

    private static void ForEachBlock(PackedGradient packed, Action<int, Scratch> work) =>
        Parallel.For(0, packed.Layout.Blocks, CpuThreads.Options, () => new Scratch(packed.Lanes, packed.PaddedDim), (block, _, scratch) =>
        {
            work(block, scratch);
            return scratch;
        }, scratch => scratch.Dispose());

    private static void Queries<T>(PackedGradient packed, int queryBlock, ReadOnlySpan<int> keyBlocks, Scratch scratch, float* target)
        where T : struct, ILanes<T>
    {
        var rows = packed.Layout.Lengths[queryBlock];
        scratch.Clear();
        foreach (var keyBlock in keyBlocks)
        {
            Scores<T>(packed.Queries.Rows(queryBlock), packed.Keys.Columns(keyBlock), scratch.Weights, rows, packed);
            Scores<T>(packed.Gradients.Rows(queryBlock), packed.Values.Columns(keyBlock), scratch.Scores, rows, packed);
            DifferentiateByRow<T>(scratch, rows, packed.LogSumExp(queryBlock), packed.Products(queryBlock));
            Accumulate<T>(scratch.Scores, packed.Keys.Rows(keyBlock), scratch.First, rows, packed.Layout.Lengths[keyBlock], packed);
        }

        Store(scratch.First, target, queryBlock, packed, packed.Scale);
    }

    // The same, transposed: rows are keys, columns queries.
    private static void Keys<T>(
        PackedGradient packed, int keyBlock, ReadOnlySpan<int> queryBlocks, Scratch scratch, float* targetK, float* targetV)
        where T : struct, ILanes<T>
    {
        var rows = packed.Layout.Lengths[keyBlock];
        scratch.Clear();
        foreach (var queryBlock in queryBlocks)
        {
            Scores<T>(packed.Keys.Rows(keyBlock), packed.Queries.Columns(queryBlock), scratch.Weights, rows, packed);
            Scores<T>(packed.Values.Rows(keyBlock), packed.Gradients.Columns(queryBlock), scratch.Scores, rows, packed);
            DifferentiateByColumn<T>(scratch, rows, packed.LogSumExp(queryBlock), packed.Products(queryBlock));
            var queries = packed.Layout.Lengths[queryBlock];
            Accumulate<T>(scratch.Weights, packed.Gradients.Rows(queryBlock), scratch.First, rows, queries, packed);
            Accumulate<T>(scratch.Scores, packed.Queries.Rows(queryBlock), scratch.Second, rows, queries, packed);
        }

        Store(scratch.First, targetV, keyBlock, packed, 1);
        Store(scratch.Second, targetK, keyBlock, packed, 1);
    }

    // S and dP become P and dS; a row has one log-sum-exp and one product. Columns past a ragged block's end are never read again.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DifferentiateByRow<T>(Scratch scratch, int rows, float* logSumExp, float* products)
        where T : struct, ILanes<T>
    {
        var (weights, scores) = (scratch.Weights, scratch.Scores);
        for (var row = 0; row < rows; row++)
        {
            var (lse, product) = (T.All(logSumExp[row]), T.All(products[row]));
            for (var column = 0; column < BlockSize; column += T.Count)
            {
                Differentiate(weights.At(row, column), scores.At(row, column), lse, product);
            }
        }
    }

    // The same where columns have them.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DifferentiateByColumn<T>(Scratch scratch, int rows, float* logSumExp, float* products)
        where T : struct, ILanes<T>
    {
        var (weights, scores) = (scratch.Weights, scratch.Scores);
        for (var column = 0; column < BlockSize; column += T.Count)
        {
            var (lse, product) = (T.Load(logSumExp + column), T.Load(products + column));
            for (var row = 0; row < rows; row++)
            {
                Differentiate(weights.At(row, column), scores.At(row, column), lse, product);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Differentiate<T>(float* weights, float* scores, T lse, T product)
        where T : struct, ILanes<T>
    {
        var p = T.Exp(T.Load(weights) - lse);
        p.Store(weights);
        (p * (T.Load(scores) - product)).Store(scores);
    }

    private static void Scores<T>(CpuMatrix rows, CpuMatrix columns, CpuMatrix scores, int count, PackedGradient packed)
        where T : struct, ILanes<T> =>
        CpuGemm.Multiply<T>(rows, columns, scores, count, BlockSize, packed.Dim, accumulate: false);

    private static void Accumulate<T>(CpuMatrix scores, CpuMatrix matrix, CpuMatrix sum, int rows, int depth, PackedGradient packed)
        where T : struct, ILanes<T> =>
        CpuGemm.Multiply<T>(scores, matrix, sum, rows, packed.PaddedDim, depth, accumulate: true);

    private static void Store(CpuMatrix sum, float* target, int block, PackedGradient packed, float scale)
    {
        target += (nint)packed.Layout.Starts[block] * packed.Dim;
        for (var row = 0; row < packed.Layout.Lengths[block]; row++)
        {
            sum.StoreRow(row, target + row * packed.Dim, packed.Dim, scale);
        }
    }

    /// <summary>One thread's tiles (S, then P; dP, then dS) and its block's sums.</summary>
    private sealed class Scratch(int lanes, int width) : IDisposable
    {
        private readonly BlockMatrices _tiles = new(lanes, 2, BlockSize, BlockSize);
        private readonly BlockMatrices _sums = new(lanes, 2, BlockSize, width);

        public CpuMatrix Weights => _tiles[0];

        public CpuMatrix Scores => _tiles[1];

        public CpuMatrix First => _sums[0];

        public CpuMatrix Second => _sums[1];

        public void Clear()
        {
            First.Clear();
            Second.Clear();
        }

        public void Dispose()
        {
            _tiles.Dispose();
            _sums.Dispose();
        }
    }
}
