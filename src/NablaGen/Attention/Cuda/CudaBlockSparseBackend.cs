using NablaGen.Cuda;
using NablaGen.Native;
using static TorchSharp.torch;
using DeviceMask = NablaGen.Cuda.BlockMask;
using DeviceNablaMask = NablaGen.Cuda.NablaMask;

namespace NablaGen.Attention;

/// <summary>
/// Block-sparse attention on CUDA by our own kernels (docs/kernels.md), in bfloat16 or float16; other types are converted to bfloat16.
/// Holds the kernels' workspaces, so one a run.
/// </summary>
public sealed class CudaBlockSparseBackend : IBlockSparseBackend
{
    private readonly CudaDevice _device;
    private readonly BlockAttention _attention;
    private readonly DeviceNablaMask _nabla;
    private readonly CudaKeptLog _log;
    private BlockLayout? _layout;
    private BlockOffsets? _offsets;
    private DeviceMask? _mask;
    private DeviceMask? _window;

    /// <summary>The kernels of a device; they are compiled, or read from the cache, at first use.</summary>
    /// <exception cref="NablaGenException">The device cannot be used.</exception>
    public CudaBlockSparseBackend(Device device)
    {
        _device = CudaDevices.Open(device);
        _attention = new BlockAttention(_device);
        _nabla = new DeviceNablaMask(_device);
        _log = new CudaKeptLog(_device);
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks kept)
    {
        using var scope = NewDisposeScope();
        var type = CudaDevices.IsSixteenBit(v.dtype) ? v.dtype : ScalarType.BFloat16;
        var (queries, keys, values) = (Ready(q, type), Ready(k, type), Ready(v, type));
        var (batch, heads, tokens, dim) = (q.shape[0], q.shape[1], q.shape[2], q.shape[3]);
        if (dim is not (64 or 128))
        {
            throw new NablaGenException($"sparse attention on CUDA has kernels for heads of 64 and 128 channels, and this model's have {dim}: use --attention dense");
        }

        // [B, L, H, D] in memory: what the next linear layer takes without a copy.
        var output = empty([batch, tokens, heads, dim], type, v.device).transpose(1, 2);
        Prepare(layout, (int)(batch * heads));
        _log.Start();
        var mask = Mask(CudaDevices.View(queries), CudaDevices.View(keys), layout, expression);
        _log.MaskDone();
        _attention.Run(CudaDevices.View(queries), CudaDevices.View(keys), CudaDevices.View(values), CudaDevices.View(output), _offsets!, mask);
        _log.AttentionDone();
        kept = new KeptBlocks(_log, mask, (int)(batch * heads));
        return output.to_type(v.dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _log.Dispose();
        Release();
        _nabla.Dispose();
        _attention.Dispose();
    }

    private static Tensor Ready(Tensor x, ScalarType type)
    {
        var converted = x.to_type(type);
        return converted.stride(3) == 1 ? converted : converted.contiguous();
    }

    private DeviceMask Mask(AttentionTensor q, AttentionTensor k, BlockLayout layout, AttentionExpression expression)
    {
        SlidingWindow? window = expression.Window is { } sta
            ? new SlidingWindow(sta.Time / 2, sta.Height / 2, sta.Width / 2, layout.BlockRows, layout.BlockColumns)
            : null;
        if (expression.Threshold is { } threshold)
        {
            _nabla.Run(q, k, _offsets!, threshold, window, _mask!);
            return _mask!;
        }

        // A window alone is the same for every head and step.
        return _window ??= DeviceMask.FromHost(_device, 1, layout.Blocks, (_, query, key) => window!.Value.Keeps(query, key));
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
        _mask = new DeviceMask(_device, heads, layout.Blocks);
    }

    private void Release()
    {
        _offsets?.Dispose();
        _mask?.Dispose();
        _window?.Dispose();
        (_layout, _offsets, _mask, _window) = (null, null, null, null);
    }

    private sealed class KeptBlocks(CudaKeptLog log, DeviceMask mask, int heads) : IKeptBlocks
    {
        private Lazy<KeptStatistics>? _statistics;

        public Lazy<KeptStatistics> Statistics => _statistics ??= log.Take(mask, heads);
    }
}
