using System.Runtime.CompilerServices;

namespace NablaGen.Attention.Cpu;

/// <summary>
/// Attention of one head over lists of key blocks, with a running softmax: for each query block, S = Q Kᵀ a key block at a time, then
/// O ← O e^(m − m') + e^(S − m') V. Query blocks run in parallel, each alone, so the result does not depend on the threads.
/// </summary>
internal static unsafe class BlockSparseKernel
{
    private const int BlockSize = BlockLayout.BlockSize;
    private const int Panel = MatrixLayout.PanelWidth;
    private const int ScorePanels = BlockSize / Panel;

    /// <summary>Writes the attention's output; a query block with an empty list gets zeros.</summary>
    /// <param name="head">Packed queries, keys and values.</param>
    /// <param name="rowStarts">Where each query block's list starts. [Blocks + 1]</param>
    /// <param name="keyBlocks">The lists.</param>
    /// <param name="output">[L, D]</param>
    /// <param name="logSumExp">Gets the logarithm of each row's Σ e^s, which the backward pass asks for; or null. [L]</param>
    /// <param name="tail">The pooled terms of what the lists leave out, or null.</param>
    public static void Run(PackedHead head, int[] rowStarts, int[] keyBlocks, float* output, float* logSumExp, CpuPooledTail? tail = null)
    {
        if (head.Lanes == Lanes16.Count)
        {
            Run<Lanes16>(head, rowStarts, keyBlocks, output, logSumExp, tail);
        }
        else
        {
            Run<Lanes8>(head, rowStarts, keyBlocks, output, logSumExp, tail);
        }
    }

    private static void Run<T>(PackedHead head, int[] rowStarts, int[] keyBlocks, float* output, float* logSumExp, CpuPooledTail? tail)
        where T : struct, ILanes<T> =>
        Parallel.For(0, head.Layout.Blocks, CpuThreads.Options, () => new Scratch(T.Count, head.PaddedDim), (block, _, scratch) =>
        {
            Attend<T>(head, block, keyBlocks.AsSpan(rowStarts[block]..rowStarts[block + 1]), scratch, output, logSumExp, tail);
            return scratch;
        }, scratch => scratch.Dispose());

    private static void Attend<T>(
        PackedHead head, int queryBlock, ReadOnlySpan<int> keyBlocks, Scratch scratch, float* output, float* logSumExp, CpuPooledTail? tail)
        where T : struct, ILanes<T>
    {
        var rows = head.Layout.Lengths[queryBlock];
        var width = head.PaddedDim;
        scratch.Reset(rows);
        foreach (var keyBlock in keyBlocks)
        {
            var keys = head.Layout.Lengths[keyBlock];
            CpuGemm.Multiply<T>(head.Queries(queryBlock), head.Keys(keyBlock), scratch.Scores, rows, BlockSize, head.Dim, accumulate: false);
            for (var row = 0; row < rows; row++)
            {
                SoftmaxRow<T>(scratch, row, keys, width);
            }

            CpuGemm.Multiply<T>(scratch.Scores, head.Values(keyBlock), scratch.Output, rows, width, keys, accumulate: true);
        }

        if (tail is not null && !float.IsNegativeInfinity(tail.Offset(queryBlock)))
        {
            for (var row = 0; row < rows; row++)
            {
                AddTerm<T>(scratch, row, head.Queries(queryBlock), tail.Key(queryBlock), tail.Value(queryBlock), tail.Offset(queryBlock), width);
            }
        }

        var target = output + (nint)head.Layout.Starts[queryBlock] * head.Dim;
        for (var row = 0; row < rows; row++)
        {
            var inverse = scratch.Sum[row] > 0 ? 1 / scratch.Sum[row] : 0;
            scratch.Output.StoreRow(row, target + row * head.Dim, head.Dim, inverse);
            if (logSumExp != null)
            {
                logSumExp[head.Layout.Starts[queryBlock] + row] = scratch.Max[row] + MathF.Log(scratch.Sum[row]);
            }
        }
    }

    // Turns a row of scores into e^(s − m'), where m' is the row's largest so far, and scales down what came before.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SoftmaxRow<T>(Scratch scratch, int row, int keys, int width)
        where T : struct, ILanes<T>
    {
        for (var i = keys; i < BlockSize; i++)
        {
            *scratch.Scores.At(row, i) = float.NegativeInfinity;
        }

        var first = scratch.Scores.At(row, 0);
        var panel = scratch.Scores.Layout.Panel;
        var largest = T.Load(first);
        for (var scores = first; scores < first + ScorePanels * panel; scores += panel)
        {
            for (var i = 0; i < Panel; i += T.Count)
            {
                largest = T.Max(largest, T.Load(scores + i));
            }
        }

        var before = scratch.Max[row];
        var max = T.Max(largest, before);
        // Before the loop: a call after it would have the registers saved in each turn.
        var scale = max > before ? MathF.Exp(before - max) : 1;
        var shift = T.All(max);
        var sum = T.All(0);
        for (var scores = first; scores < first + ScorePanels * panel; scores += panel)
        {
            for (var i = 0; i < Panel; i += T.Count)
            {
                var mass = T.Exp(T.Load(scores + i) - shift);
                sum += mass;
                mass.Store(scores + i);
            }
        }

        scratch.Sum[row] = scratch.Sum[row] * scale + T.Sum(sum);
        if (max > before)
        {
            scratch.Max[row] = max;
            var factor = T.All(scale);
            var output = scratch.Output.At(row, 0);
            for (var c = 0; c < width; c += Panel, output += scratch.Output.Layout.Panel)
            {
                for (var i = 0; i < Panel; i += T.Count)
                {
                    (T.Load(output + i) * factor).Store(output + i);
                }
            }
        }
    }

    // One more key of a row: its logit is q · key + offset.
    private static void AddTerm<T>(Scratch scratch, int row, CpuMatrix queries, float* key, float* value, float offset, int width)
        where T : struct, ILanes<T>
    {
        var products = T.All(0);
        for (var column = 0; column < width; column += T.Count)
        {
            products = T.MultiplyAdd(T.Load(queries.At(row, column)), T.Load(key + column), products);
        }

        var logit = T.Sum(products) + offset;
        var max = Math.Max(scratch.Max[row], logit);
        var (scale, mass) = (MathF.Exp(scratch.Max[row] - max), MathF.Exp(logit - max));
        scratch.Max[row] = max;
        scratch.Sum[row] = scratch.Sum[row] * scale + mass;
        var (factor, weight) = (T.All(scale), T.All(mass));
        for (var column = 0; column < width; column += T.Count)
        {
            var output = scratch.Output.At(row, column);
            T.MultiplyAdd(weight, T.Load(value + column), T.Load(output) * factor).Store(output);
        }
    }

    /// <summary>One thread's tile of scores, its output rows, and each row's largest score and sum.</summary>
    private sealed class Scratch(int lanes, int width) : IDisposable
    {
        private readonly BlockMatrices _scores = new(lanes, 1, BlockSize, BlockSize);
        private readonly BlockMatrices _output = new(lanes, 1, BlockSize, width);

        public CpuMatrix Scores => _scores[0];

        public CpuMatrix Output => _output[0];

        public float[] Max { get; } = new float[BlockSize];

        public float[] Sum { get; } = new float[BlockSize];

        public void Reset(int rows)
        {
            Output.Clear();
            Max.AsSpan(0, rows).Fill(float.NegativeInfinity);
            Sum.AsSpan(0, rows).Clear();
        }

        public void Dispose()
        {
            _scores.Dispose();
            _output.Dispose();
        }
    }
}
