using NablaGen.Cuda.Device;
using NablaGen.Cuda.Fused;

namespace NablaGen.Cuda.Attention;

/// <summary>
/// NABLA's mask: pooling, logits, selection; or, after a dense pass, masses and selection. Holds their workspace, so keep one for a run; not for several threads at once.
/// </summary>
public sealed class NablaMaskBuilder : IDisposable
{
    private readonly CudaDevice _device;
    private readonly long _scoreBytes;
    private readonly BlockPooling _pooling;
    private readonly NablaScores _scores;
    private readonly BlockMasses _masses;
    private readonly NablaSelect _select;
    private readonly Workspace _pooled;
    private readonly Workspace _logits;
    private BlockOffsets? _full;

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
        _masses = new BlockMasses(device);
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
        var (pooledQ, pooledK) = Pool(q, k, offsets, stream);
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
        nint stream = 0, int top = 1) => ByHeads(
            offsets, mask, Pooled(pooledQ, pooledK, headSize, offsets, stream),
            (logits, head, heads) => _select.Run(logits, head, heads, threshold.From(head), window, mask, stream, top));

    /// <summary>The same from what each key block carries exactly, which a dense attention's log-sum-exp tells.</summary>
    /// <param name="q">Q.</param>
    /// <param name="k">K, of the same shape and type.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="logSumExp">Device address of the natural log of each row's Σ exp(logit) over all keys, float32 [batch · heads, tokens].</param>
    /// <param name="threshold">As above.</param>
    /// <param name="window">A sliding window that is kept too.</param>
    /// <param name="mask">Gets the result; batch · heads heads.</param>
    /// <param name="stream">The stream.</param>
    /// <param name="top">As above.</param>
    public void RunExact(
        AttentionTensor q, AttentionTensor k, BlockOffsets offsets, nint logSumExp, NablaThreshold threshold, SlidingWindow? window, DeviceBlockMask mask,
        nint stream = 0, int top = 1) => ByHeads(
            offsets, mask, (logits, head, heads) => _masses.Run(q, k, offsets, logSumExp, head, heads, logits, stream),
            (logits, head, heads) => _select.Run(logits, head, heads, threshold.From(head), window, mask, stream, top));

    /// <summary>Puts RoLa's mask on the stream: of each row the key blocks with the highest scores between means, which no block's size changes.</summary>
    /// <param name="q">Q.</param>
    /// <param name="k">K, of the same shape and type.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="pooled">Device addresses of Q's and K's means, float32 [mask.Heads, blocks, headSize]; null where they are still to be made.</param>
    /// <param name="count">How many key blocks a row keeps.</param>
    /// <param name="mask">Gets the result; batch · heads heads.</param>
    /// <param name="stream">The stream.</param>
    public void RunTop(AttentionTensor q, AttentionTensor k, BlockOffsets offsets, (nint Q, nint K)? pooled, int count, DeviceBlockMask mask, nint stream = 0)
    {
        var (pooledQ, pooledK) = pooled ?? Pool(q, k, offsets, stream);
        if (_full?.Blocks != offsets.Blocks)
        {
            _full?.Dispose();
            _full = null;
            _full = new BlockOffsets(_device, [.. Enumerable.Repeat(BlockOffsets.BlockSize, offsets.Blocks)]);
        }

        ByHeads(_full, mask, Pooled(pooledQ, pooledK, q.HeadSize, _full, stream), (logits, head, heads) => _select.RunTop(logits, head, heads, count, mask, stream));
    }

    // Scores of as many heads at a time as there is room for, and what is selected from them.
    private void ByHeads(BlockOffsets offsets, DeviceBlockMask mask, Action<nint, int, int> score, Action<nint, int, int> select)
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
            score(logits, head, heads);
            select(logits, head, heads);
        }
    }

    private Action<nint, int, int> Pooled(nint pooledQ, nint pooledK, int headSize, BlockOffsets offsets, nint stream) => (logits, head, heads) =>
    {
        var offset = (nint)(4L * head * offsets.Blocks * headSize);
        _scores.Run(pooledQ + offset, pooledK + offset, heads, headSize, offsets, logits, stream);
    };

    private (nint Q, nint K) Pool(AttentionTensor q, AttentionTensor k, BlockOffsets offsets, nint stream)
    {
        var bytes = 4L * q.Rows * offsets.Blocks * q.HeadSize;
        var pooledQ = _pooled.Take(2 * bytes);
        var pooledK = pooledQ + (nint)bytes;
        _pooling.Run(q, k, offsets, pooledQ, pooledK, stream);
        return (pooledQ, pooledK);
    }

    /// <summary>Frees the workspace.</summary>
    public void Dispose()
    {
        _full?.Dispose();
        _pooled.Dispose();
        _logits.Dispose();
    }
}
