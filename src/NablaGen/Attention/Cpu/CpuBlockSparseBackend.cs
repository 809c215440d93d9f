using System.Diagnostics;
using NablaGen.Native;
using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>
/// Block-sparse attention on the CPU, in float32 whatever the inputs' type. Its time falls with the mask's density, and it holds one
/// head's packed copy at a time: memory is linear in tokens.
/// </summary>
public sealed unsafe class CpuBlockSparseBackend : IBlockSparseBackend
{
    /// <inheritdoc/>
    public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks kept)
    {
        using var scope = NewDisposeScope();
        var (batch, heads, tokens, dim) = (q.shape[0], q.shape[1], q.shape[2], (int)q.shape[3]);
        if (tokens != layout.Tokens)
        {
            throw new ArgumentException($"the layout has {layout.Tokens} tokens, the queries {tokens}", nameof(layout));
        }

        q = Flat(q);
        k = Flat(k);
        var values = Flat(v);
        var output = empty_like(values);

        var headCount = (int)(batch * heads);
        (int[] RowStarts, int[] KeyBlocks)? window = expression.Window is { } sta ? StaMask.KeyBlocks(layout, sta) : null;
        var rowStarts = new int[headCount][];
        var keyBlocks = new int[headCount][];
        var stride = tokens * dim;
        var (maskTime, attentionTime) = (new Stopwatch(), new Stopwatch());
        using var packed = new PackedHead(layout, dim);
        for (var head = 0; head < headCount; head++)
        {
            packed.Pack(TensorMemory.Floats(q) + head * stride, TensorMemory.Floats(k) + head * stride, TensorMemory.Floats(values) + head * stride);
            maskTime.Start();
            (rowStarts[head], keyBlocks[head]) = expression.Threshold is { } threshold
                ? NablaMask.KeyBlocks(packed, threshold, window)
                : window!.Value;
            maskTime.Stop();
            attentionTime.Start();
            BlockSparseKernel.Run(packed, rowStarts[head], keyBlocks[head], TensorMemory.Floats(output) + head * stride);
            attentionTime.Stop();
        }

        GC.KeepAlive(q);
        GC.KeepAlive(k);
        GC.KeepAlive(values);
        kept = new BlockMask(layout, rowStarts, keyBlocks) { MaskTime = maskTime.Elapsed, AttentionTime = attentionTime.Elapsed };
        return output.to_type(v.dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private static Tensor Flat(Tensor x) => x.to_type(ScalarType.Float32).contiguous();
}
