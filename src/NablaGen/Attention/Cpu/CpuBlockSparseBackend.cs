using System.Diagnostics;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Attention.Cpu;

/// <summary>
/// Block-sparse attention on the CPU, in float32 whatever the inputs' type. Its time falls with the mask's density, and it holds one
/// head's packed copy at a time: memory is linear in tokens.
/// </summary>
public sealed class CpuBlockSparseBackend : IBlockSparseBackend
{
    private readonly int _lanes;

    /// <summary>With the widest vectors that this machine has.</summary>
    public CpuBlockSparseBackend()
        : this(CpuLanes.Widest)
    {
    }

    /// <summary>With vectors of 8 or 16 floats, which every machine can run.</summary>
    internal CpuBlockSparseBackend(int lanes) => _lanes = CpuLanes.Checked(lanes);

    /// <inheritdoc/>
    public Tensor Forward(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks kept, int layer = 0,
        BlockMeans? means = null, Fp8Output? fp8 = null)
    {
        var output = Attend(q, k, v, layout, expression, layer, logSumExp: null, out var mask);
        kept = mask;
        return output;
    }

    /// <inheritdoc/>
    public IHeldMask Hold(IKeptBlocks kept, IHeldMask? room = null) => new HeldMask((BlockMask)kept);

    /// <inheritdoc/>
    public Tensor ForwardWith(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, IHeldMask mask, out IKeptBlocks kept, BlockMeans? means = null,
        Fp8Output? fp8 = null)
    {
        var output = Attend(q, k, v, layout, expression, 0, logSumExp: null, out var same, ((HeldMask)mask).Mask);
        kept = same;
        return output;
    }

    /// <inheritdoc/>
    public Tensor Survey(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks mask, int layer)
    {
        using var logSumExp = empty([q.shape[0], q.shape[1], q.shape[2]]);
        var output = Attend(q, k, v, layout, expression, layer, logSumExp, out var found, surveys: true);
        mask = found;
        return output;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    /// <summary>The forward pass with what a gradient needs beside it: each row's log-sum-exp and the mask.</summary>
    /// <param name="q">[B, H, L, D]</param>
    /// <param name="k">[B, H, L, D]</param>
    /// <param name="v">[B, H, L, D]</param>
    /// <param name="layout">The blocks of the L tokens.</param>
    /// <param name="expression">A sparse expression.</param>
    /// <param name="layer">The layer, from 0.</param>
    /// <param name="logSumExp">Gets the logarithm of each row's Σ e^s; float32, contiguous [B, H, L]. Null where nobody asks.</param>
    /// <param name="mask">What was kept; in a survey, what is to be kept.</param>
    /// <param name="given">A mask made before, to use instead of making one.</param>
    /// <param name="surveys">Whether to attend to everything and make the mask from the exact masses; needs <paramref name="logSumExp"/>.</param>
    /// <returns>A new tensor in the type of <paramref name="v"/>. [B, H, L, D]</returns>
    internal unsafe Tensor Attend(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, int layer, Tensor? logSumExp, out BlockMask mask,
        BlockMask? given = null, bool surveys = false)
    {
        using var scope = NewDisposeScope();
        var (tokens, dim) = (q.shape[2], (int)q.shape[3]);
        if (tokens != layout.Tokens)
        {
            throw new ArgumentException($"the layout has {layout.Tokens} tokens, the queries {tokens}", nameof(q));
        }

        var (queries, keys, values) = (Flat(q), Flat(k), Flat(v));
        var output = empty_like(values);

        var headCount = (int)(q.shape[0] * q.shape[1]);
        (int[] RowStarts, int[] KeyBlocks)? window = expression.Window is { } sta ? StaMask.KeyBlocks(layout, sta) : null;
        var rowStarts = new int[headCount][];
        var keyBlocks = new int[headCount][];
        var (maskTime, attentionTime) = (new Stopwatch(), new Stopwatch());
        using var packed = new PackedHead(layout, dim, _lanes);
        using var tail = expression.HasTail && !surveys ? new CpuPooledTail(packed) : null;
        (int[] RowStarts, int[] KeyBlocks)? all = surveys ? Everything(layout.Blocks) : null;
        for (var head = 0; head < headCount; head++)
        {
            var at = head * tokens * dim;
            packed.Pack(TensorMemory.Floats(queries) + at, TensorMemory.Floats(keys) + at, TensorMemory.Floats(values) + at);
            var lse = logSumExp is null ? null : TensorMemory.Floats(logSumExp) + head * tokens;
            if (!surveys)
            {
                maskTime.Start();
                (rowStarts[head], keyBlocks[head]) = given?.Lists(head) ?? Select(packed, expression, layer, (int)(head % q.shape[1]), window, null);
                maskTime.Stop();
            }

            attentionTime.Start();
            var (starts, lists) = all ?? (rowStarts[head], keyBlocks[head]);
            tail?.Build(starts, lists);
            BlockSparseKernel.Run(packed, starts, lists, TensorMemory.Floats(output) + at, lse, tail);
            attentionTime.Stop();
            if (surveys)
            {
                maskTime.Start();
                (rowStarts[head], keyBlocks[head]) = Select(packed, expression, layer, (int)(head % q.shape[1]), window, CpuBlockMasses.Of(packed, lse));
                maskTime.Stop();
            }
        }

        GC.KeepAlive(queries);
        GC.KeepAlive(keys);
        GC.KeepAlive(values);
        GC.KeepAlive(logSumExp);
        mask = new BlockMask(layout, rowStarts, keyBlocks) { MaskTime = maskTime.Elapsed, AttentionTime = attentionTime.Elapsed };
        return output.to_type(v.dtype).MoveToOuterDisposeScope();
    }

    private static (int[] RowStarts, int[] KeyBlocks) Select(
        PackedHead packed, AttentionExpression expression, int layer, int head, (int[] RowStarts, int[] KeyBlocks)? window, float[]? masses) =>
        expression.RolaShare is not null
            ? CpuTopMask.KeyBlocks(packed, expression.RolaBlocks(packed.Layout.Blocks))
            : expression.ThresholdOf(layer, head) is { } threshold
            ? CpuNablaMask.KeyBlocks(packed, threshold, window, expression.Top ?? 1, masses)
            : window!.Value;

    private static (int[] RowStarts, int[] KeyBlocks) Everything(int blocks) =>
        ([.. Enumerable.Range(0, blocks + 1).Select(row => row * blocks)], [.. Enumerable.Range(0, blocks * blocks).Select(i => i % blocks)]);

    private static Tensor Flat(Tensor x) => x.to_type(ScalarType.Float32).contiguous();

    // No call changes a mask of an earlier one.
    private sealed record HeldMask(BlockMask Mask) : IHeldMask
    {
        public void Dispose()
        {
        }
    }
}
