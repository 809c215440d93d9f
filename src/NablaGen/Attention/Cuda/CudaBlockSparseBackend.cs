using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Attention.Cuda;

/// <summary>
/// Block-sparse attention on CUDA by our own kernels (docs/kernels.md), in bfloat16 or float16; other types are converted to bfloat16.
/// Holds the kernels' workspaces, so one a run; it must live until the last backward pass through it is done.
/// </summary>
public sealed class CudaBlockSparseBackend : IBlockSparseBackend
{
    private readonly CudaDevice _device;
    private readonly BlockAttention _attention;
    private readonly BlockAttentionBackward _backward;
    private readonly NablaMaskBuilder _nabla;
    private readonly CudaKeptLog _log;
    private readonly CudaHeadThresholds _thresholds;
    private BlockLayout? _layout;
    private BlockOffsets? _offsets;
    private DeviceBlockMask? _mask;
    private DeviceBlockMask? _window;

    /// <summary>The kernels of a device; they are compiled, or read from the cache, at first use.</summary>
    /// <exception cref="NablaGenException">The device cannot be used.</exception>
    public CudaBlockSparseBackend(Device device)
    {
        _device = CudaDevices.Open(device);
        _attention = new BlockAttention(_device);
        _backward = new BlockAttentionBackward(_device);
        _nabla = new NablaMaskBuilder(_device);
        _log = new CudaKeptLog(_device);
        _thresholds = new CudaHeadThresholds(_device);
    }

    /// <inheritdoc/>
    public bool TakesBlockMeans => true;

    /// <inheritdoc/>
    public Tensor Forward(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks kept, int layer = 0,
        BlockMeans? means = null)
    {
        var call = new CudaBlockSparseCall(this, layout, expression, layer, means);
        var output = BlockSparseFunction.Run(call, q, k, v);
        kept = call.Kept!;
        return output;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _log.Dispose();
        Release();
        _thresholds.Dispose();
        _nabla.Dispose();
        _attention.Dispose();
        _backward.Dispose();
    }

    /// <summary>
    /// The attention of a call. For the gradient it saves q, k, v, the 16-bit output, the log-sum-exp and a copy of the mask's bits, for the
    /// next layer overwrites the mask: tensors of libtorch's, so they are freed with the graph and in the stream's order.
    /// </summary>
    internal Tensor Attend(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, int layer, BlockMeans? means,
        ICollection<Tensor>? saved, out IKeptBlocks kept)
    {
        using var scope = NewDisposeScope();
        var type = CudaDevices.IsSixteenBit(v.dtype) ? v.dtype : ScalarType.BFloat16;
        var (queries, keys, values) = (CudaDevices.Readable(q, type), CudaDevices.Readable(k, type), CudaDevices.Readable(v, type));
        var (batch, heads, tokens, dim) = (q.shape[0], q.shape[1], q.shape[2], q.shape[3]);
        if (dim is not (64 or 128))
        {
            throw new NablaGenException($"sparse attention on CUDA has kernels for heads of 64 and 128 channels, and this model's have {dim}: use --attention dense");
        }

        var output = CudaDevices.EmptyLike(values);
        var logSumExp = saved is null ? null : empty([batch, heads, tokens], ScalarType.Float32, v.device);
        Prepare(layout, (int)(batch * heads));
        _log.Start();
        var mask = Mask(CudaDevices.View(queries), CudaDevices.View(keys), layout, expression, layer, means);
        _log.MaskDone();
        _attention.Run(
            CudaDevices.View(queries), CudaDevices.View(keys), CudaDevices.View(values), CudaDevices.View(output), _offsets!, mask,
            logSumExp: logSumExp is null ? 0 : TensorMemory.Address(logSumExp));
        _log.AttentionDone();
        kept = new KeptBlocks(_log, mask, (int)(batch * heads));
        if (saved is not null)
        {
            var bits = empty([mask.Heads, mask.Blocks, mask.Words], ScalarType.Int32, v.device);
            mask.CopyBits(TensorMemory.Address(bits));
            foreach (var tensor in new[] { q, k, v, output.MoveToOuterDisposeScope(), logSumExp!.MoveToOuterDisposeScope(), bits.MoveToOuterDisposeScope() })
            {
                saved.Add(tensor);
            }
        }

        return output.to_type(v.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>The gradients of a call's inputs, from what <see cref="Attend"/> saved.</summary>
    internal (Tensor Q, Tensor K, Tensor V) Differentiate(Tensor gradient, IReadOnlyList<Tensor> saved, BlockLayout layout)
    {
        using var scope = NewDisposeScope();
        var (output, logSumExp, bits) = (saved[3], saved[4], saved[5]);
        var type = output.dtype;
        var (queries, keys, values, outer) = (CudaDevices.Readable(saved[0], type), CudaDevices.Readable(saved[1], type), CudaDevices.Readable(saved[2], type), CudaDevices.Readable(gradient, type));
        var (q, k, v) = (CudaDevices.EmptyLike(queries), CudaDevices.EmptyLike(keys), CudaDevices.EmptyLike(values));
        Prepare(layout, (int)(output.shape[0] * output.shape[1]));
        _backward.Run(
            CudaDevices.View(queries), CudaDevices.View(keys), CudaDevices.View(values), CudaDevices.View(output),
            TensorMemory.Address(logSumExp), CudaDevices.View(outer),
            new AttentionGradients(CudaDevices.View(q), CudaDevices.View(k), CudaDevices.View(v)), _offsets!,
            new MaskBits(TensorMemory.Address(bits), (int)bits.shape[0], layout.Blocks));
        return (As(q, saved[0]), As(k, saved[1]), As(v, saved[2]));
    }

    private static Tensor As(Tensor x, Tensor like) => x.to_type(like.dtype).MoveToOuterDisposeScope();

    private DeviceBlockMask Mask(AttentionTensor q, AttentionTensor k, BlockLayout layout, AttentionExpression expression, int layer, BlockMeans? means)
    {
        SlidingWindow? window = expression.Window is { } sta
            ? new SlidingWindow(sta.Time / 2, sta.Height / 2, sta.Width / 2, layout.BlockRows, layout.BlockColumns)
            : null;
        if (expression.UsesNabla)
        {
            var threshold = expression.HeadThresholds is { } heads
                ? _thresholds.Of(heads, layer, _mask!.Heads)
                : (NablaThreshold)expression.Threshold!.Value;
            if (means is null)
            {
                _nabla.Run(q, k, _offsets!, threshold, window, _mask!);
            }
            else
            {
                _nabla.Run(TensorMemory.Address(means.Q), TensorMemory.Address(means.K), q.HeadSize, _offsets!, threshold, window, _mask!);
            }

            return _mask!;
        }

        // A window alone is the same for every head and step.
        return _window ??= DeviceBlockMask.FromHost(_device, 1, layout.Blocks, (_, query, key) => window!.Value.Keeps(query, key));
    }

    private void Prepare(BlockLayout layout, int heads)
    {
        if (_layout == layout && _mask!.Heads == heads)
        {
            return;
        }

        Release();
        _layout = layout;
        _offsets = new BlockOffsets(_device, layout.Lengths);
        _mask = new DeviceBlockMask(_device, heads, layout.Blocks);
    }

    private void Release()
    {
        _offsets?.Dispose();
        _mask?.Dispose();
        _window?.Dispose();
        (_layout, _offsets, _mask, _window) = (null, null, null, null);
    }

    private sealed class KeptBlocks(CudaKeptLog log, DeviceBlockMask mask, int heads) : IKeptBlocks
    {
        private Lazy<KeptStatistics>? _statistics;

        public Lazy<KeptStatistics> Statistics => _statistics ??= log.Take(mask, heads);
    }
}
