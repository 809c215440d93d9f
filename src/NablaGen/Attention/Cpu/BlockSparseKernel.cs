using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace NablaGen.Attention;

/// <summary>
/// Attention of one head over lists of key blocks, with a running softmax: for each query block, S = Q Kᵀ a key block at a time, then
/// O ← O e^(m − m') + e^(S − m') V. Query blocks run in parallel, each alone, so the result does not depend on the threads.
/// </summary>
internal static unsafe class BlockSparseKernel
{
    private const int BlockSize = BlockLayout.BlockSize;

    /// <summary>Writes the attention's output; a query block with an empty list gets zeros.</summary>
    /// <param name="head">Packed queries, keys and values.</param>
    /// <param name="rowStarts">Where each query block's list starts. [Blocks + 1]</param>
    /// <param name="keyBlocks">The lists.</param>
    /// <param name="output">[L, D]</param>
    /// <param name="logSumExp">Gets the logarithm of each row's Σ e^s, which the backward pass asks for; or null. [L]</param>
    public static void Run(PackedHead head, int[] rowStarts, int[] keyBlocks, float* output, float* logSumExp) =>
        Parallel.For(0, head.Layout.Blocks, CpuThreads.Options, () => new Scratch(head.PaddedDim), (block, _, scratch) =>
        {
            Attend(head, block, keyBlocks.AsSpan(rowStarts[block]..rowStarts[block + 1]), scratch, output, logSumExp);
            return scratch;
        }, scratch => scratch.Dispose());

    private static void Attend(PackedHead head, int queryBlock, ReadOnlySpan<int> keyBlocks, Scratch scratch, float* output, float* logSumExp)
    {
        var rows = head.Layout.Lengths[queryBlock];
        var width = head.PaddedDim;
        scratch.Reset(rows, width);
        foreach (var keyBlock in keyBlocks)
        {
            var keys = head.Layout.Lengths[keyBlock];
            CpuGemm.Multiply(head.Queries(queryBlock), width, head.Keys(keyBlock), BlockSize, scratch.Scores, BlockSize, rows, BlockSize, head.Dim, accumulate: false);
            for (var row = 0; row < rows; row++)
            {
                SoftmaxRow(scratch, row, keys, width);
            }

            CpuGemm.Multiply(scratch.Scores, BlockSize, head.Values(keyBlock), width, scratch.Output, width, rows, width, keys, accumulate: true);
        }

        var target = output + (nint)head.Layout.Starts[queryBlock] * head.Dim;
        for (var row = 0; row < rows; row++)
        {
            var inverse = scratch.Sum[row] > 0 ? 1 / scratch.Sum[row] : 0;
            for (var c = 0; c < head.Dim; c++)
            {
                target[row * head.Dim + c] = scratch.Output[row * width + c] * inverse;
            }

            if (logSumExp != null)
            {
                logSumExp[head.Layout.Starts[queryBlock] + row] = scratch.Max[row] + MathF.Log(scratch.Sum[row]);
            }
        }
    }

    // Turns a row of scores into e^(s − m'), where m' is the row's largest so far, and scales down what came before.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SoftmaxRow(Scratch scratch, int row, int keys, int width)
    {
        var scores = scratch.Scores + row * BlockSize;
        new Span<float>(scores + keys, BlockSize - keys).Fill(float.NegativeInfinity);

        var largest = Vector512.Load(scores);
        for (var i = 16; i < BlockSize; i += 16)
        {
            largest = Vector512.MaxNative(largest, Vector512.Load(scores + i));
        }

        var before = scratch.Max[row];
        var max = before;
        for (var i = 0; i < Vector512<float>.Count; i++)
        {
            max = MathF.Max(max, largest[i]);
        }

        var shift = Vector512.Create(max);
        var sum = Vector512<float>.Zero;
        for (var i = 0; i < BlockSize; i += 16)
        {
            var mass = Vector512.Exp(Vector512.Load(scores + i) - shift);
            sum += mass;
            mass.Store(scores + i);
        }

        var scale = MathF.Exp(before - max);
        scratch.Sum[row] = scratch.Sum[row] * scale + Vector512.Sum(sum);
        if (max > before)
        {
            scratch.Max[row] = max;
            var factor = Vector512.Create(scale);
            var output = scratch.Output + row * width;
            for (var c = 0; c < width; c += 16)
            {
                (Vector512.Load(output + c) * factor).Store(output + c);
            }
        }
    }

    /// <summary>One thread's tile of scores, its output rows, and each row's largest score and sum.</summary>
    private sealed class Scratch(int width) : IDisposable
    {
        public readonly float* Scores = Allocate(BlockSize * BlockSize);
        public readonly float* Output = Allocate(BlockSize * width);
        public readonly float* Max = Allocate(BlockSize);
        public readonly float* Sum = Allocate(BlockSize);

        public void Reset(int rows, int width)
        {
            new Span<float>(Output, BlockSize * width).Clear();
            new Span<float>(Max, rows).Fill(float.NegativeInfinity);
            new Span<float>(Sum, rows).Clear();
        }

        public void Dispose()
        {
            NativeMemory.AlignedFree(Scores);
            NativeMemory.AlignedFree(Output);
            NativeMemory.AlignedFree(Max);
            NativeMemory.AlignedFree(Sum);
        }

        private static float* Allocate(int count) => (float*)NativeMemory.AlignedAlloc((nuint)count * sizeof(float), 64);
    }
}
