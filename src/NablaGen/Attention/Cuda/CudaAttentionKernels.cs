using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Tensors;
using static TorchSharp.torch;

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

    /// <summary>The attention in eight bits, its output as E4M3 codes with a scale a row; only where <see cref="IsEightBit"/>.</summary>
    /// <param name="q">Queries. [B, H, L, D]</param>
    /// <param name="k">Keys.</param>
    /// <param name="v">Values.</param>
    /// <param name="fp8">Gets the rows' scales.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="mask">What is kept.</param>
    /// <returns>Codes in bytes [B, H, L, D], in memory [B, L, H, D].</returns>
    public Tensor RunToFp8(Tensor q, Tensor k, Tensor v, Fp8Output fp8, BlockOffsets offsets, DeviceBlockMask mask)
    {
        var (batch, heads, tokens, columns) = (q.shape[0], q.shape[1], q.shape[2], q.shape[3]);
        var at = new KernelAddress(q.device);
        var codes = empty([batch, tokens, heads, columns], ScalarType.Byte, q.device);
        fp8.RowScales = empty([batch, tokens], ScalarType.Float32, q.device).DetachFromDisposeScope();
        _eight!.RunToFp8(
            CudaDevices.View(q), CudaDevices.View(k), CudaDevices.View(v), at.Of(codes, ScalarType.Byte, "an output in fp8"),
            at.Of(fp8.RowScales, ScalarType.Float32, "the rows' scales"), offsets, mask);
        return codes.transpose(1, 2);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _sixteen.Dispose();
        _eight?.Dispose();
    }
}
