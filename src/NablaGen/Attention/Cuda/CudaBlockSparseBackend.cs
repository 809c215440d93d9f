using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Attention.Cuda;

/// <summary>
/// Block-sparse attention on CUDA by our own kernels (docs/kernels.md), in bfloat16 or float16; other types are converted to bfloat16.
/// Holds the kernels' workspaces, so one a run.
/// </summary>
public sealed class CudaBlockSparseBackend : IBlockSparseBackend
{
    private readonly CudaDevice _device;
    private readonly CudaAttentionKernels _attention;
    private readonly NablaMaskBuilder _nabla;
    private readonly CudaKeptLog _log;
    private readonly CudaHeadThresholds _thresholds;
    private readonly CudaPooledTail _tail;
    // By heads: of several GPUs each may have other numbers of them from layer to layer.
    private readonly Dictionary<int, DeviceBlockMask> _masks = [];
    private BlockLayout? _layout;
    private BlockOffsets? _offsets;
    private DeviceBlockMask? _mask;
    private DeviceBlockMask? _window;
    private DeviceBlockMask? _everything;

    /// <summary>The kernels of a device; they are compiled, or read from the cache, at first use.</summary>
    /// <param name="device">A CUDA device.</param>
    /// <param name="eightBits">Whether it may compute in eight bits, where the device and the heads have kernels for that.</param>
    /// <exception cref="NablaGenException">The device cannot be used.</exception>
    public CudaBlockSparseBackend(Device device, bool eightBits = false)
    {
        _device = CudaDevices.Open(device);
        _attention = new CudaAttentionKernels(_device, eightBits);
        _nabla = new NablaMaskBuilder(_device);
        _log = new CudaKeptLog(_device);
        _thresholds = new CudaHeadThresholds(_device);
        _tail = new CudaPooledTail(_device);
    }

    /// <inheritdoc/>
    public bool TakesBlockMeans => true;

    /// <inheritdoc/>
    public Tensor Forward(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks kept, int layer = 0,
        BlockMeans? means = null, Fp8Output? fp8 = null)
    {
        using var scope = NewDisposeScope();
        var output = Attend(q, k, v, layout, expression, layer, means, logSumExp: null, out _, out kept, fp8: fp8);
        return Typed(output, v.dtype, fp8).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IHeldMask Hold(IKeptBlocks kept, IHeldMask? room = null)
    {
        var mask = ((KeptBlocks)kept).Mask;
        if (room is not HeldMask held || !held.Stored.Fits(mask.Heads, mask.Blocks))
        {
            room?.Dispose();
            held = new HeldMask(new StoredBlockMask(_device, mask.Heads, mask.Blocks));
        }

        held.Stored.Store(mask);
        return held;
    }

    /// <inheritdoc/>
    public Tensor ForwardWith(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, IHeldMask mask, out IKeptBlocks kept, BlockMeans? means = null,
        Fp8Output? fp8 = null)
    {
        using var scope = NewDisposeScope();
        var output = Attend(q, k, v, layout, expression, 0, means, logSumExp: null, out _, out kept, ((HeldMask)mask).Stored, fp8);
        return Typed(output, v.dtype, fp8).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>In 16 bits whatever the attention's precision is: these masses serve all steps that follow.</remarks>
    public Tensor Survey(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks mask, int layer)
    {
        using var scope = NewDisposeScope();
        var (queries, keys, values) = Ready(q, k, v, layout);
        var output = CudaDevices.EmptyLike(values);
        using var logs = empty([queries.shape[0] * queries.shape[1], layout.Tokens], ScalarType.Float32, q.device);
        var logSumExp = new KernelAddress(output.device).Of(logs, ScalarType.Float32, "the log-sum-exp");
        _everything ??= DeviceBlockMask.FromHost(_device, 1, layout.Blocks, (_, _, _) => true);
        _attention.Run(
            CudaDevices.View(queries), CudaDevices.View(keys), CudaDevices.View(values), CudaDevices.View(output), _offsets!, _everything, logSumExp, inSixteenBits: true);
        _nabla.RunExact(
            CudaDevices.View(queries), CudaDevices.View(keys), _offsets!, logSumExp, Threshold(expression, layer), Window(expression, layout), _mask!, top: expression.Top ?? 1);
        mask = new KeptBlocks(_log, _mask!, _mask!.Heads);
        return output.to_type(v.dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _log.Dispose();
        Release();
        _thresholds.Dispose();
        _nabla.Dispose();
        _attention.Dispose();
    }

    /// <summary>The forward pass with what a gradient needs beside it: each row's log-sum-exp and the mask.</summary>
    /// <param name="q">[B, H, L, D]</param>
    /// <param name="k">[B, H, L, D]</param>
    /// <param name="v">[B, H, L, D]</param>
    /// <param name="layout">The blocks of the L tokens.</param>
    /// <param name="expression">A sparse expression.</param>
    /// <param name="layer">The layer, from 0.</param>
    /// <param name="means">Means of q and k over the blocks, where they are known.</param>
    /// <param name="logSumExp">Gets the natural logarithm of each row's Σ e^s; float32, contiguous [B, H, L]. Null where nobody asks.</param>
    /// <param name="mask">What was kept; the next call overwrites it.</param>
    /// <param name="kept">The same, for statistics.</param>
    /// <param name="given">A mask made before, to use instead of making one.</param>
    /// <param name="fp8">Takes codes where there is nothing to do but the attention, in eight bits; null where nobody needs that.</param>
    /// <returns>A new tensor in the 16-bit type that was computed in, or codes. [B, H, L, D]</returns>
    internal Tensor Attend(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, int layer, BlockMeans? means,
        Tensor? logSumExp, out DeviceBlockMask mask, out IKeptBlocks kept, StoredBlockMask? given = null, Fp8Output? fp8 = null)
    {
        using var scope = NewDisposeScope();
        var (queries, keys, values) = Ready(q, k, v, layout);
        var heads = (int)(q.shape[0] * q.shape[1]);
        _log.Start();
        if (expression.HasTail)
        {
            means ??= _tail.Means(CudaDevices.View(queries), CudaDevices.View(keys), _offsets!, q.device);
            logSumExp ??= empty([heads, layout.Tokens], ScalarType.Float32, q.device);
        }

        if (given is null)
        {
            mask = Mask(CudaDevices.View(queries), CudaDevices.View(keys), layout, expression, layer, means);
        }
        else
        {
            given.Load(mask = _mask!);
        }

        _log.MaskDone();
        Tensor output;
        nint keyMeans = 0;
        if (fp8 is not null && logSumExp is null && _attention.IsEightBit(q.shape[3]))
        {
            output = _attention.RunToFp8(queries, keys, values, fp8, _offsets!, mask);
        }
        else
        {
            output = CudaDevices.EmptyLike(values);
            keyMeans = _attention.Run(
                CudaDevices.View(queries), CudaDevices.View(keys), CudaDevices.View(values), CudaDevices.View(output), _offsets!, mask,
                logSumExp: new KernelAddress(output.device).Of(logSumExp, ScalarType.Float32, "the log-sum-exp"));
        }

        if (expression.HasTail)
        {
            _tail.Add(CudaDevices.View(queries), CudaDevices.View(values), output, _offsets!, mask, means!, logSumExp!, keyMeans);
        }

        _log.AttentionDone();
        kept = new KeptBlocks(_log, mask, heads);
        return output.MoveToOuterDisposeScope();
    }

    private static Tensor Typed(Tensor output, ScalarType type, Fp8Output? fp8) => fp8?.RowScales is null ? output.to_type(type) : output;

    // Tensors that the kernels can read, and the workspaces for them.
    private (Tensor Q, Tensor K, Tensor V) Ready(Tensor q, Tensor k, Tensor v, BlockLayout layout)
    {
        if (q.shape[3] is not (64 or 128))
        {
            throw new NablaGenException($"sparse attention on CUDA has kernels for heads of 64 and 128 channels, and this model's have {q.shape[3]}: use --attention dense");
        }

        Prepare(layout, (int)(q.shape[0] * q.shape[1]));
        var type = CudaDevices.IsSixteenBit(v.dtype) ? v.dtype : ScalarType.BFloat16;
        return (CudaDevices.Readable(q, type), CudaDevices.Readable(k, type), CudaDevices.Readable(v, type));
    }

    private static SlidingWindow? Window(AttentionExpression expression, BlockLayout layout) => expression.Window is { } sta
        ? new SlidingWindow(sta.Time / 2, sta.Height / 2, sta.Width / 2, layout.BlockRows, layout.BlockColumns)
        : null;

    private NablaThreshold Threshold(AttentionExpression expression, int layer) => expression.HeadThresholds is { } heads
        ? _thresholds.Of(heads, layer, _mask!.Heads)
        : expression.Threshold!.Value;

    private DeviceBlockMask Mask(AttentionTensor q, AttentionTensor k, BlockLayout layout, AttentionExpression expression, int layer, BlockMeans? means)
    {
        var window = Window(expression, layout);
        if (expression.RolaShare is not null)
        {
            (nint, nint)? known = means is null ? null : Addresses(means);
            _nabla.RunTop(q, k, _offsets!, known, expression.RolaBlocks(layout.Blocks), _mask!);
            return _mask!;
        }

        if (expression.UsesNabla)
        {
            var (threshold, top) = (Threshold(expression, layer), expression.Top ?? 1);
            if (means is null)
            {
                _nabla.Run(q, k, _offsets!, threshold, window, _mask!, top: top);
            }
            else
            {
                var (meansQ, meansK) = Addresses(means);
                _nabla.Run(meansQ, meansK, q.HeadSize, _offsets!, threshold, window, _mask!, top: top);
            }

            return _mask!;
        }

        // A window alone is the same for every head and step.
        return _window ??= DeviceBlockMask.FromHost(_device, 1, layout.Blocks, (_, query, key) => window!.Value.Keeps(query, key));
    }

    private static (nint Q, nint K) Addresses(BlockMeans means)
    {
        var at = new KernelAddress(means.Q.device);
        return (at.Of(means.Q, ScalarType.Float32, "Q's means"), at.Of(means.K, ScalarType.Float32, "K's means"));
    }

    private void Prepare(BlockLayout layout, int heads)
    {
        if (_layout != layout)
        {
            Release();
            _offsets = new BlockOffsets(_device, layout.Lengths);
            _layout = layout;
        }

        if (!_masks.TryGetValue(heads, out _mask))
        {
            CudaDevices.RequireCountable(layout.Blocks, layout.Tokens, heads);
            _masks[heads] = _mask = new DeviceBlockMask(_device, heads, layout.Blocks);
        }
    }

    private void Release()
    {
        _offsets?.Dispose();
        foreach (var mask in _masks.Values)
        {
            mask.Dispose();
        }

        _masks.Clear();
        _window?.Dispose();
        _everything?.Dispose();
        (_layout, _offsets, _mask, _window, _everything) = (null, null, null, null, null);
    }

    private sealed class KeptBlocks(CudaKeptLog log, DeviceBlockMask mask, int heads) : IKeptBlocks
    {
        private Lazy<KeptStatistics>? _statistics;

        public DeviceBlockMask Mask => mask;

        public Lazy<KeptStatistics> Statistics => _statistics ??= log.Take(mask, heads);

        public int[] ReadCounts(int head) => mask.CountsToHost(Row(head));

        public uint[] ReadBits(int head) => mask.BitsToHost(Row(head));

        // One mask may serve all heads.
        private int Row(int head) => mask.Heads == 1 ? 0 : head;
    }

    private sealed record HeldMask(StoredBlockMask Stored) : IHeldMask
    {
        public void Dispose() => Stored.Dispose();
    }
}
