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
        _eight = eightBits && EightBitAttention.WhyNot(device) is null ? new EightBitAttention(device) : null;
    }

    /// <summary>Whether heads of a size are attended to in eight bits.</summary>
    public bool IsEightBit(long headSize) => _eight is not null && headSize == EightBitAttention.HeadSize;

    /// <summary>Puts the attention on the stream: see <see cref="BlockAttention"/>.</summary>
    /// <param name="q">Queries.</param>
    /// <param name="k">Keys.</param>
    /// <param name="v">Values.</param>
    /// <param name="output">Gets the result.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="mask">What is kept.</param>
    /// <param name="logSumExp">Device address of each row's log-sum-exp, float32; 0 for none.</param>
    /// <param name="inSixteenBits">Whether eight bits are left aside.</param>
    /// <returns>
    /// Device address of K's mean of each head where the log-sum-exp is of logits without it (<see cref="EightBitAttention"/>), until the next
    /// call; 0 where it is of all.
    /// </returns>
    public nint Run(
        AttentionTensor q, AttentionTensor k, AttentionTensor v, AttentionTensor output, BlockOffsets offsets, DeviceBlockMask mask, nint logSumExp = 0,
        bool inSixteenBits = false)
    {
        if (!inSixteenBits && IsEightBit(q.HeadSize))
        {
            return _eight!.Run(q, k, v, output, offsets, mask, logSumExp: logSumExp);
        }

        _sixteen.Run(q, k, v, output, offsets, mask, logSumExp: logSumExp);
        return 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _sixteen.Dispose();
        _eight?.Dispose();
    }
}
