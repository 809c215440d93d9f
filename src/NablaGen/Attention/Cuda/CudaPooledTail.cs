using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Attention.Cuda;

/// <summary>
/// The pooled terms on CUDA (see <see cref="PooledTail"/>): our kernels make the weights of the dropped blocks and merge the terms into the
/// attention's output; the products of weights and means between them are libtorch's, in float32.
/// </summary>
internal sealed class CudaPooledTail(CudaDevice device)
{
    // Room for the maps of as many heads at a time as fit; a long video takes 4 MiB a head.
    private const long MapBytes = 96L << 20;

    private readonly BlockPooling _pooling = new(device);
    private readonly NablaScores _scores = new(device);
    private readonly AttentionTail _tail = new(device);

    /// <summary>The means of queries and keys over the blocks.</summary>
    public BlockMeans Means(AttentionTensor q, AttentionTensor k, BlockOffsets offsets, Device where)
    {
        var (queries, keys) = (Blocks(q, offsets, where), Blocks(k, offsets, where));
        var at = new KernelAddress(where);
        _pooling.Run(q, k, offsets, at.Of(queries, ScalarType.Float32, "Q's means"), at.Of(keys, ScalarType.Float32, "K's means"));
        return new BlockMeans(queries, keys);
    }

    /// <summary>Adds the terms to an attention's output.</summary>
    /// <param name="q">Queries.</param>
    /// <param name="v">Values.</param>
    /// <param name="output">The attention over the kept blocks; overwritten. [B, H, L, D]</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="mask">What was kept.</param>
    /// <param name="means">Means of queries and keys.</param>
    /// <param name="logSumExp">The attention's, float32. [B · H, L]</param>
    /// <param name="keyMeans">What <see cref="CudaAttentionKernels.Run"/> returned.</param>
    public void Add(
        AttentionTensor q, AttentionTensor v, Tensor output, BlockOffsets offsets, DeviceBlockMask mask, BlockMeans means, Tensor logSumExp, nint keyMeans)
    {
        using var scope = NewDisposeScope();
        var at = new KernelAddress(output.device);
        var values = Blocks(v, offsets, output.device);
        _pooling.Run(v, offsets, at.Of(values, ScalarType.Float32, "V's means"));
        var pairs = cat([means.K, values], -1);
        var terms = empty([q.Rows, offsets.Blocks, 2 * q.HeadSize], ScalarType.Float32, output.device);
        var logs = empty([q.Rows, offsets.Blocks], ScalarType.Float32, output.device);
        var stride = NablaScores.StrideFor(offsets.Blocks);
        var atOnce = (int)Math.Clamp(MapBytes / (4L * offsets.Blocks * stride), 1, q.Rows);
        var room = empty([atOnce, offsets.Blocks, stride], ScalarType.Float32, output.device);
        var map = at.Of(room, ScalarType.Float32, "the map of blocks");
        for (var head = 0; head < q.Rows; head += atOnce)
        {
            using var inner = NewDisposeScope();
            var heads = Math.Min(atOnce, q.Rows - head);
            _scores.Run(
                at.Of(means.Q.narrow(0, head, heads), ScalarType.Float32, "Q's means"), at.Of(means.K.narrow(0, head, heads), ScalarType.Float32, "K's means"),
                heads, q.HeadSize, offsets, map);
            _tail.Weights(map, mask, head, heads, at.Of(logs.narrow(0, head, heads), ScalarType.Float32, "the logarithms"));
            terms.narrow(0, head, heads).copy_(room.narrow(0, 0, heads).narrow(2, 0, offsets.Blocks).bmm(pairs.narrow(0, head, heads)));
        }

        _tail.Merge(
            q, CudaDevices.View(output), offsets, at.Of(logSumExp, ScalarType.Float32, "the log-sum-exp"),
            new TailTerms(
                at.Of(means.Q, ScalarType.Float32, "Q's means"), at.Of(terms, ScalarType.Float32, "the terms"), at.Of(logs, ScalarType.Float32, "the logarithms")),
            keyMeans, EightBitAttention.KeyMeanStride);
        // The kernels' work is on the stream; libtorch frees in its order.
        GC.KeepAlive(output);
        GC.KeepAlive(logSumExp);
        GC.KeepAlive(means);
    }

    private static Tensor Blocks(AttentionTensor x, BlockOffsets offsets, Device where) =>
        empty([x.Rows, offsets.Blocks, x.HeadSize], ScalarType.Float32, where);
}
