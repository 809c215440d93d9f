using NablaGen.Cuda;
using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Attention.Cuda;

/// <summary>
/// Attention to every token by the kernels for blocks, all of them kept: on Hopper they outrun libtorch's (docs/performance.md), elsewhere those in
/// eight bits are used alone. Where they do not fit (short videos, other types and heads) libtorch's it is.
/// </summary>
public sealed class CudaDenseAttention : IAttention
{
    /// <summary>Fewer tokens are libtorch's: the plan of a launch costs more than the attention gains.</summary>
    public const int FewestTokens = 4096;

    private readonly CudaDevice _device;
    private readonly DenseAttention _plain;
    private readonly CudaAttentionKernels _attention;
    private readonly IAttentionObserver? _observer;
    private BlockLayout? _layout;
    private BlockOffsets? _offsets;
    private DeviceBlockMask? _mask;

    private CudaDenseAttention(CudaDevice device, IAttentionObserver? observer, bool eightBits)
    {
        (_device, _observer) = (device, observer);
        _plain = new DenseAttention(observer);
        _attention = new CudaAttentionKernels(device, eightBits);
    }

    /// <summary>The fastest dense attention of a device.</summary>
    /// <param name="device">Where.</param>
    /// <param name="observer">Is told of each.</param>
    /// <param name="eightBits">Whether it may compute in eight bits, where the heads have kernels for that.</param>
    public static IAttention Create(Device device, IAttentionObserver? observer, bool eightBits = false)
    {
        try
        {
            var cuda = CudaDevices.Open(device);
            if (cuda.HasHopperKernels || (eightBits && EightBitAttention.WhyNot(cuda) is null))
            {
                return new CudaDenseAttention(cuda, observer, eightBits);
            }
        }
        catch (Exception error) when (error is CudaException or NablaGenException)
        {
            // No NVRTC: libtorch's own needs none.
        }

        return new DenseAttention(observer);
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionSite site, BlockMeans? means = null)
    {
        if (layout.Tokens < FewestTokens || !CudaDevices.IsSixteenBit(v.dtype) || q.dtype != v.dtype || k.dtype != v.dtype
            || q.shape[3] is not (64 or 128) || !(_device.HasHopperKernels || _attention.IsEightBit(q.shape[3])))
        {
            return _plain.Forward(q, k, v, layout, site with { Fp8 = null });
        }

        using var scope = NewDisposeScope();
        Prepare(layout, (int)(q.shape[0] * q.shape[1]));
        var (queries, keys, values) = (CudaDevices.Readable(q), CudaDevices.Readable(k), CudaDevices.Readable(v));
        Tensor output;
        if (site.Fp8 is { } fp8 && _attention.IsEightBit(q.shape[3]))
        {
            output = _attention.RunToFp8(queries, keys, values, fp8, _offsets!, _mask!);
        }
        else
        {
            output = CudaDevices.EmptyLike(values);
            _attention.Run(CudaDevices.View(queries), CudaDevices.View(keys), CudaDevices.View(values), CudaDevices.View(output), _offsets!, _mask!);
        }

        _observer?.OnDense(site with { Fp8 = null });
        return output.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public bool Repeats => true;

    /// <inheritdoc/>
    public void RepeatFirst(int step) => _observer?.OnDense(new AttentionSite(step, 0));

    /// <inheritdoc/>
    public void Dispose()
    {
        _offsets?.Dispose();
        _mask?.Dispose();
        _attention.Dispose();
        _plain.Dispose();
    }

    private void Prepare(BlockLayout layout, int heads)
    {
        if (_layout == layout)
        {
            return;
        }

        _offsets?.Dispose();
        _mask?.Dispose();
        (_layout, _offsets, _mask) = (null, null, null);
        CudaDevices.RequireCountable(layout.Blocks, layout.Tokens, heads);
        _offsets = new BlockOffsets(_device, layout.Lengths);
        _mask = DeviceBlockMask.FromHost(_device, 1, layout.Blocks, (_, _, _) => true);
        _layout = layout;
    }
}
