using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace NablaGen.Attention;

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
    /// <param name="mask">The lists.</param>
    /// <param name="head">The head's number in <paramref name="mask"/>.</param>
    /// <param name="q">[L, D]</param>
    /// <param name="k">[L, D]</param>
    /// <param name="v">[L, D]</param>
    public static void Run(PackedGradient packed, BlockMask mask, int head, float* q, float* k, float* v)
    {
        ForEachBlock(packed, (block, scratch) => Queries(packed, block, mask.Row(head, block), scratch, q));
        ForEachBlock(packed, (block, scratch) => Keys(packed, block, mask.Column(head, block), scratch, k, v));
    }

    private static void ForEachBlock(PackedGradient packed, Action<int, Scratch> work) =>
        Parallel.For(0, packed.Layout.Blocks, CpuThreads.Options, () => new Scratch(packed.PaddedDim), (block, _, scratch) =>
        {
            work(block, scratch);
            return scratch;
        }, scratch => scratch.Dispose());

    private static void Queries(PackedGradient packed, int queryBlock, ReadOnlySpan<int> keyBlocks, Scratch scratch, float* target)
    {
        var (rows, width) = (packed.Layout.Lengths[queryBlock], packed.PaddedDim);
        scratch.Clear();
        foreach (var keyBlock in keyBlocks)
        {
            Scores(packed.Queries.Rows(queryBlock), packed.Keys.Columns(keyBlock), scratch.Weights, rows, packed);
            Scores(packed.Gradients.Rows(queryBlock), packed.Values.Columns(keyBlock), scratch.Scores, rows, packed);
            for (var row = 0; row < rows; row++)
            {
                var lse = Vector512.Create(packed.LogSumExp(queryBlock)[row]);
                var product = Vector512.Create(packed.Products(queryBlock)[row]);
                for (var i = row * BlockSize; i < (row + 1) * BlockSize; i += 16)
                {
                    Differentiate(scratch, i, lse, product);
                }
            }

            Accumulate(scratch.Scores, packed.Keys.Rows(keyBlock), scratch.First, rows, packed.Layout.Lengths[keyBlock], width);
        }

        Store(scratch.First, target, queryBlock, packed, packed.Scale);
    }

    // The same, transposed: rows are keys, columns queries.
    private static void Keys(PackedGradient packed, int keyBlock, ReadOnlySpan<int> queryBlocks, Scratch scratch, float* targetK, float* targetV)
    {
        var (rows, width) = (packed.Layout.Lengths[keyBlock], packed.PaddedDim);
        scratch.Clear();
        foreach (var queryBlock in queryBlocks)
        {
            Scores(packed.Keys.Rows(keyBlock), packed.Queries.Columns(queryBlock), scratch.Weights, rows, packed);
            Scores(packed.Values.Rows(keyBlock), packed.Gradients.Columns(queryBlock), scratch.Scores, rows, packed);
            for (var column = 0; column < BlockSize; column += 16)
            {
                var lse = Vector512.Load(packed.LogSumExp(queryBlock) + column);
                var product = Vector512.Load(packed.Products(queryBlock) + column);
                for (var row = 0; row < rows; row++)
                {
                    Differentiate(scratch, row * BlockSize + column, lse, product);
                }
            }

            var queries = packed.Layout.Lengths[queryBlock];
            Accumulate(scratch.Weights, packed.Gradients.Rows(queryBlock), scratch.First, rows, queries, width);
            Accumulate(scratch.Scores, packed.Queries.Rows(queryBlock), scratch.Second, rows, queries, width);
        }

        Store(scratch.First, targetV, keyBlock, packed, 1);
        Store(scratch.Second, targetK, keyBlock, packed, 1);
    }

    // Sixteen of S and dP become P and dS. Columns past a ragged block's end are never read again.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Differentiate(Scratch scratch, int at, Vector512<float> lse, Vector512<float> product)
    {
        var weights = Vector512.Exp(Vector512.Load(scratch.Weights + at) - lse);
        weights.Store(scratch.Weights + at);
        (weights * (Vector512.Load(scratch.Scores + at) - product)).Store(scratch.Scores + at);
    }

    private static void Scores(float* rows, float* columns, float* scores, int count, PackedGradient packed) =>
        CpuGemm.Multiply(rows, packed.PaddedDim, columns, BlockSize, scores, BlockSize, count, BlockSize, packed.Dim, accumulate: false);

    private static void Accumulate(float* scores, float* matrix, float* sum, int rows, int depth, int width) =>
        CpuGemm.Multiply(scores, BlockSize, matrix, width, sum, width, rows, width, depth, accumulate: true);

    private static void Store(float* sum, float* target, int block, PackedGradient packed, float scale)
    {
        target += (nint)packed.Layout.Starts[block] * packed.Dim;
        for (var row = 0; row < packed.Layout.Lengths[block]; row++)
        {
            for (var c = 0; c < packed.Dim; c++)
            {
                target[row * packed.Dim + c] = sum[row * packed.PaddedDim + c] * scale;
            }
        }
    }

    /// <summary>One thread's tiles (S, then P; dP, then dS) and its block's sums.</summary>
    private sealed class Scratch(int width) : IDisposable
    {
        public readonly float* Weights = PackedHead.Allocate(BlockSize * BlockSize);
        public readonly float* Scores = PackedHead.Allocate(BlockSize * BlockSize);
        public readonly float* First = PackedHead.Allocate((nuint)(BlockSize * width));
        public readonly float* Second = PackedHead.Allocate((nuint)(BlockSize * width));

        public void Clear()
        {
            new Span<float>(First, BlockSize * width).Clear();
            new Span<float>(Second, BlockSize * width).Clear();
        }

        public void Dispose()
        {
            NativeMemory.AlignedFree(Weights);
            NativeMemory.AlignedFree(Scores);
            NativeMemory.AlignedFree(First);
            NativeMemory.AlignedFree(Second);
        }
    }
}
