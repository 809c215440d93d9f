using NablaGen.Cuda;
using NablaGen.Native;
using static TorchSharp.torch;
using DeviceMask = NablaGen.Cuda.BlockMask;
using DeviceNablaMask = NablaGen.Cuda.NablaMask;

namespace NablaGen.Attention;

/// <summary>
/// Block-sparse attention on CUDA by our own kernels (docs/kernels.md), in bfloat16 or float16; other types are converted to bfloat16.
/// Holds the kernels' workspaces, so one a run; it must live until the last backward pass through it is done.
/// </summary>
public sealed class CudaBlockSparseBackend : IBlockSparseBackend
{
    private readonly CudaDevice _device;
    private readonly DeviceNablaMask _nabla;
    private BlockLayout? _layout;
    private BlockOffsets? _offsets;
    private DeviceMask? _mask;
    private DeviceMask? _window;

    /// <summary>The kernels of a device; they are compiled, or read from the cache, at first use.</summary>
    /// <exception cref="NablaGenException">The device cannot be used.</exception>
    public CudaBlockSparseBackend(Device device)
    {
        _device = CudaDevices.Open(device);
        _nabla = new DeviceNablaMask(_device);
        Attention = new BlockAttention(_device);
        Backward = new BlockAttentionBackward(_device);
    }

    /// <summary>The attention.</summary>
    internal BlockAttention Attention { get; }

    /// <summary>Its gradients.</summary>
    internal BlockAttentionBackward Backward { get; }

    /// <summary>The blocks that were prepared for last.</summary>
    internal BlockOffsets Offsets => _offsets!;

    /// <inheritdoc/>
    public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks kept)
    {
        var call = new CudaBlockSparseCall(this, layout, expression);
        var output = BlockSparseFunction.Run(call, q, k, v);
        kept = call.Kept!;
        return output;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Release();
        _nabla.Dispose();
        Attention.Dispose();
        Backward.Dispose();
    }

    /// <summary>The mask of an expression, valid until the next call.</summary>
    internal DeviceMask Mask(AttentionTensor q, AttentionTensor k, BlockLayout layout, AttentionExpression expression)
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

    /// <summary>Makes room for a layout's masks; does nothing if the last ones were of the same.</summary>
    internal void Prepare(BlockLayout layout, int heads)
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
}
