using NablaGen.Cuda.Device;
using NablaGen.Cuda.Fused;

namespace NablaGen.Cuda.Attention;

/// <summary>
/// NABLA's mask: pooling, logits, selection. Holds their workspace, so keep one for a run; not for several threads at once.
/// </summary>
public sealed class NablaMaskBuilder : IDisposable
{
    private readonly CudaDevice _device;
    private readonly long _scoreBytes;
    private readonly BlockPooling _pooling;
    private readonly NablaScores _scores;
    private readonly NablaSelect _select;
    private readonly Workspace _pooled;
    private readonly Workspace _logits;

    /// <summary>The mask kernels on a device; they are compiled at first use.</summary>
    public NablaMaskBuilder(CudaDevice device)
        : this(device, 96L << 20)
    {
    }

    /// <summary>The same, with room for the logits of as many heads at a time as fit in <paramref name="scoreBytes"/>.</summary>
    internal NablaMaskBuilder(CudaDevice device, long scoreBytes)
    {
        _device = device;
        _scoreBytes = scoreBytes;
        _pooling = new BlockPooling(device);
        _scores = new NablaScores(device);
        _select = new NablaSelect(device);
        _pooled = new Workspace(device);
        _logits = new Workspace(device);
    }

    /// <summary>Puts the mask for Q and K (after RoPE) on the stream.</summary>
    /// <param name="q">Q.</param>
    /// <param name="k">K, of the same shape and type.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="threshold">Share of the softmax's mass that the kept blocks carry: a number for all heads, or one for each.</param>
    /// <param name="window">A sliding window that is kept too.</param>
    /// <param name="mask">Gets the result; batch · heads heads.</param>
    /// <param name="stream">The stream.</param>
    /// <param name="top">How many of a row's largest blocks are kept whatever they carry.</param>
    public void Run(
        AttentionTensor q, AttentionTensor k, BlockOffsets offsets, NablaThreshold threshold, SlidingWindow? window, DeviceBlockMask mask,
        nint stream = 0, int top = 1)
    {
        var bytes = 4L * q.Rows * offsets.Blocks * q.HeadSize;
        var pooledQ = _pooled.Take(2 * bytes);
        var pooledK = pooledQ + (nint)bytes;
        _pooling.Run(q, k, offsets, pooledQ, pooledK, stream);
        Run(pooledQ, pooledK, q.HeadSize, offsets, threshold, window, mask, stream, top);
    }

    /// <summary>The same from blocks that are pooled already (<see cref="RmsNormRope"/> does it in passing).</summary>
    /// <param name="pooledQ">Device address of float32 [mask.Heads, blocks, headSize].</param>
    /// <param name="pooledK">The same for K.</param>
    /// <param name="headSize">64 or 128.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="threshold">As above.</param>
    /// <param name="window">A sliding window that is kept too.</param>
    /// <param name="mask">Gets the result.</param>
    /// <param name="stream">The stream.</param>
    /// <param name="top">As above.</param>
    public void Run(
        nint pooledQ, nint pooledK, int headSize, BlockOffsets offsets, NablaThreshold threshold, SlidingWindow? window, DeviceBlockMask mask,
        nint stream = 0, int top = 1)
    {
        var blocks = offsets.Blocks;
        if (mask.Blocks != blocks || mask.Device != _device)
        {
            throw new ArgumentException($"The mask has {mask.Blocks} blocks on device {mask.Device.Ordinal}; "
                + $"the tokens have {blocks} on device {_device.Ordinal}.");
        }

        var headBytes = 4L * blocks * NablaScores.StrideFor(blocks);
        var atOnce = (int)Math.Clamp(_scoreBytes / headBytes, 1, mask.Heads);
        var logits = _logits.Take(atOnce * headBytes);
        for (var head = 0; head < mask.Heads; head += atOnce)
        {
            var heads = Math.Min(atOnce, mask.Heads - head);
            var offset = (nint)(4L * head * blocks * headSize);
            _scores.Run(pooledQ + offset, pooledK + offset, heads, headSize, offsets, logits, stream);
            _select.Run(logits, head, heads, threshold.From(head), window, mask, stream, top);
        }
    }

    /// <summary>Frees the workspace.</summary>
    public void Dispose()
    {
        _pooled.Dispose();
        _logits.Dispose();
    }
}
