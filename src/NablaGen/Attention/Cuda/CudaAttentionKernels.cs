using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Attention.Cuda;

/// <summary>The attention over the blocks of a mask, in 16 bits or, where that is asked for and there are kernels for it, in eight.</summary>
internal sealed class CudaAttentionKernels : IDisposable
{
    private readonly BlockAttention _sixteen;
    private readonly EightBitAttention? _eight;

    /// <summary>The kernels of a device; they are compiled, or read from the cache, at first use.</summary>
    /// <param name="device">The device.</param>
    /// <param name="eightBits">Whether eight bits are asked for.</param>
    public CudaAttentionKernels(CudaDevice device, bool eightBits)
    {
        _sixteen = new BlockAttention(device);
        _eight = eightBits && device.HasHopperKernels ? new EightBitAttention(device) : null;
    }

    /// <summary>Whether heads of a size are attended to in eight bits.</summary>
    public bool IsEightBit(long headSize) => _eight is not null && headSize == EightBitAttention.HeadSize;

    /// <summary>Puts the attention on the stream: see <see cref="BlockAttention"/>. A gradient's log-sum-exp comes from 16 bits alone.</summary>
    public void Run(AttentionTensor q, AttentionTensor k, AttentionTensor v, AttentionTensor output, BlockOffsets offsets, DeviceBlockMask mask, nint logSumExp = 0)
    {
        if (logSumExp == 0 && IsEightBit(q.HeadSize))
        {
            _eight!.Run(q, k, v, output, offsets, mask);
        }
        else
        {
            _sixteen.Run(q, k, v, output, offsets, mask, logSumExp: logSumExp);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _sixteen.Dispose();
        _eight?.Dispose();
    }
}
