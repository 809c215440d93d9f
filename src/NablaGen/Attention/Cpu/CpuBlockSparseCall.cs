using System.Diagnostics;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Attention.Cpu;

/// <summary>One attention on the CPU. Forward and backward hold one head's packed copy at a time.</summary>
internal sealed unsafe class CpuBlockSparseCall(BlockLayout layout, AttentionExpression expression, int layer, int lanes) : IBlockSparseCall
{
    /// <summary>What the forward pass kept.</summary>
    public BlockMask? Mask { get; private set; }

    /// <inheritdoc/>
    public Tensor Forward(Tensor q, Tensor k, Tensor v, ICollection<Tensor>? saved)
    {
        using var scope = NewDisposeScope();
        var (tokens, dim) = (q.shape[2], (int)q.shape[3]);
        if (tokens != layout.Tokens)
        {
            throw new ArgumentException($"the layout has {layout.Tokens} tokens, the queries {tokens}", nameof(q));
        }

        var (queries, keys, values) = (Flat(q), Flat(k), Flat(v));
        var output = empty_like(values);
        var logSumExp = saved is null ? null : empty([q.shape[0], q.shape[1], tokens]);

        var headCount = (int)(q.shape[0] * q.shape[1]);
        (int[] RowStarts, int[] KeyBlocks)? window = expression.Window is { } sta ? StaMask.KeyBlocks(layout, sta) : null;
        var rowStarts = new int[headCount][];
        var keyBlocks = new int[headCount][];
        var (maskTime, attentionTime) = (new Stopwatch(), new Stopwatch());
        using var packed = new PackedHead(layout, dim, lanes);
        for (var head = 0; head < headCount; head++)
        {
            var at = head * tokens * dim;
            packed.Pack(TensorMemory.Floats(queries) + at, TensorMemory.Floats(keys) + at, TensorMemory.Floats(values) + at);
            maskTime.Start();
            (rowStarts[head], keyBlocks[head]) = expression.ThresholdOf(layer, (int)(head % q.shape[1])) is { } threshold
                ? CpuNablaMask.KeyBlocks(packed, threshold, window)
                : window!.Value;
            maskTime.Stop();
            attentionTime.Start();
            BlockSparseKernel.Run(
                packed, rowStarts[head], keyBlocks[head], TensorMemory.Floats(output) + at,
                logSumExp is null ? null : TensorMemory.Floats(logSumExp) + head * tokens);
            attentionTime.Stop();
        }

        GC.KeepAlive(queries);
        GC.KeepAlive(keys);
        GC.KeepAlive(values);
        Mask = new BlockMask(layout, rowStarts, keyBlocks) { MaskTime = maskTime.Elapsed, AttentionTime = attentionTime.Elapsed };
        output = output.to_type(v.dtype).MoveToOuterDisposeScope();
        if (saved is not null)
        {
            Tensor[] needed = [q, k, v, output, logSumExp!.MoveToOuterDisposeScope()];
            foreach (var tensor in needed)
            {
                saved.Add(tensor);
            }
        }

        return output;
    }

    /// <inheritdoc/>
    public (Tensor Q, Tensor K, Tensor V) Backward(Tensor gradient, IReadOnlyList<Tensor> saved)
    {
        using var scope = NewDisposeScope();
        var (queries, keys, values) = (Flat(saved[0]), Flat(saved[1]), Flat(saved[2]));
        var (output, logSumExp, outer) = (Flat(saved[3]), saved[4], Flat(gradient));
        var (q, k, v) = (empty_like(queries), empty_like(keys), empty_like(values));
        var (tokens, dim) = (layout.Tokens, (int)queries.shape[3]);
        using var packed = new PackedGradient(layout, dim, lanes);
        for (var head = 0; head < Mask!.Heads; head++)
        {
            var at = (long)head * tokens * dim;
            packed.Pack(
                TensorMemory.Floats(queries) + at, TensorMemory.Floats(keys) + at, TensorMemory.Floats(values) + at,
                TensorMemory.Floats(output) + at, TensorMemory.Floats(outer) + at, TensorMemory.Floats(logSumExp) + (long)head * tokens);
            BlockSparseBackwardKernel.Run(
                packed, Mask, head, TensorMemory.Floats(q) + at, TensorMemory.Floats(k) + at, TensorMemory.Floats(v) + at);
        }

        GC.KeepAlive(saved);
        GC.KeepAlive(outer);
        return (As(q, saved[0]), As(k, saved[1]), As(v, saved[2]));
    }

    private static Tensor Flat(Tensor x) => x.to_type(ScalarType.Float32).contiguous();

    private static Tensor As(Tensor x, Tensor like) => x.to_type(like.dtype).MoveToOuterDisposeScope();
}
