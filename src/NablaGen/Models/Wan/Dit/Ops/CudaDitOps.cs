using NablaGen.Attention;
using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Fused;
using NablaGen.Cuda.Gemm;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit.Ops;

/// <summary>The ops as our fused kernels (docs/kernels.md): float32 residual stream, 16-bit branches.</summary>
public sealed class CudaDitOps : IDitOps
{
    private readonly KernelAddress _at;
    private readonly ScalarType _dtype;
    private readonly ElementType _type;
    private readonly LayerNormModulate _layerNorm;
    private readonly RmsNormRope _rmsNorm;
    private readonly GateResidual _gate;
    private readonly GateResidualNorm _gateNorm;
    private readonly GeluTanh _gelu;
    private readonly LinearGelu? _linearGelu;
    private readonly CudaLowRankBranch _lowRank;
    private readonly TextAttention _text;
    private readonly RmsInverse _inverse;
    private readonly BlockOffsets _offsets;
    private readonly Dictionary<long, BlockOffsets> _contextOffsets = [];
    private readonly NablaGen.Cuda.Device.CudaDevice _device;

    /// <summary>The ops of a run.</summary>
    /// <param name="device">The device.</param>
    /// <param name="dtype">bfloat16 or float16.</param>
    /// <param name="layout">The video's tokens.</param>
    public CudaDitOps(Device device, ScalarType dtype, BlockLayout layout)
    {
        var cuda = _device = CudaDevices.Open(device);
        (_at, _dtype, _type) = (new KernelAddress(device), dtype, CudaDevices.ElementType(dtype));
        _layerNorm = new LayerNormModulate(cuda);
        _rmsNorm = new RmsNormRope(cuda);
        _gate = new GateResidual(cuda);
        _gateNorm = new GateResidualNorm(cuda);
        _gelu = new GeluTanh(cuda);
        _linearGelu = NablaGen.Cuda.Gemm.LinearGelu.IsAvailable ? new LinearGelu(cuda) : null;
        _lowRank = new CudaLowRankBranch(new LowRankPasses(cuda), _at, dtype);
        (_text, _inverse) = (new TextAttention(cuda), new RmsInverse(cuda));
        _offsets = new BlockOffsets(cuda, layout.Lengths);
    }

    /// <summary>Whether there are kernels for a model of these sizes in this type.</summary>
    public static bool Fit(DitConfig config, ScalarType dtype) =>
        CudaDevices.IsSixteenBit(dtype) && config.HeadDim is 64 or 128 && config.FfnDim % 8 == 0;

    /// <summary>Whether the low-rank branch is computed by <see cref="LowRankPasses"/>, for its tests; otherwise by libtorch, a head at a time.</summary>
    internal bool FusesLowRank { get; init; } = true;

    /// <inheritdoc/>
    public Tensor Modulate(WanLayerNorm norm, Tensor x, Tensor shift, Tensor scale)
    {
        var y = empty(x.shape, _dtype, x.device);
        var stride = Stride(scale);
        _layerNorm.Run(
            Stream(x), Branch(y), _type, Rows(x), Columns(x), (float)norm.Eps, scale: Modulation(scale, stride), shift: Modulation(shift, stride),
            rowsPerBatch: Group(x, scale), modulationStride: stride);
        return y;
    }

    /// <inheritdoc/>
    public Activation Modulate(WanLayerNorm norm, Tensor x, Tensor shift, Tensor scale, bool rowScales)
    {
        if (!rowScales)
        {
            return Modulate(norm, x, shift, scale);
        }

        var (y, stride) = (EmptyRows(x.shape), Stride(scale));
        _layerNorm.Run(
            Stream(x), Codes(y), _type, Rows(x), Columns(x), (float)norm.Eps, scale: Modulation(scale, stride), shift: Modulation(shift, stride),
            rowsPerBatch: Group(x, scale), modulationStride: stride, rowScales: Weight(y.RowScales));
        return y;
    }

    /// <inheritdoc/>
    public Tensor Normalize(WanLayerNorm norm, Tensor x)
    {
        var y = empty(x.shape, _dtype, x.device);
        _layerNorm.Run(Stream(x), Branch(y), _type, Rows(x), Columns(x), (float)norm.Eps, Weight(norm.Weight), Weight(norm.Bias));
        return y;
    }

    /// <inheritdoc/>
    public Tensor NormalizeHeads(WanRmsNorm? norm, Tensor x, int heads, RopeTable? rope) => NormalizeHeads(norm, x, heads, rope, means: null);

    /// <inheritdoc/>
    public (Tensor Heads, Tensor? BlockMeans) NormalizeHeads(WanRmsNorm? norm, Tensor x, int heads, RopeTable rope, bool wantsMeans)
    {
        var means = wantsMeans ? empty([x.shape[0] * heads, _offsets.Blocks, Columns(x) / heads], ScalarType.Float32, x.device) : null;
        return (NormalizeHeads(norm, x, heads, rope, means), means);
    }

    /// <inheritdoc/>
    public bool TakesJoinedHeads => true;

    /// <inheritdoc/>
    public (Tensor Q, Tensor K, BlockMeans? Means) NormalizeJoinedHeads(WanRmsNorm normQ, WanRmsNorm normK, Tensor joined, int heads, RopeTable rope, bool wantsMeans)
    {
        using var scope = NewDisposeScope();
        var columns = Columns(joined) / 3;
        Tensor? Means() => wantsMeans ? empty([joined.shape[0] * heads, _offsets.Blocks, columns / heads], ScalarType.Float32, joined.device) : null;
        Tensor Heads(int part) => joined.narrow(2, part * columns, columns).unflatten(2, [heads, -1]).transpose(1, 2).MoveToOuterDisposeScope();
        var (meansQ, meansK) = (Means(), Means());
        _rmsNorm.RunPair(
            Branch(joined), _type, (int)joined.shape[0], heads, columns / heads, Columns(joined), _offsets, (Weight(normQ.Weight), Weight(normK.Weight)),
            _at.Of(rope.Table, ScalarType.Float32, "the angles"), (float)normQ.Eps,
            (_at.Of(meansQ, ScalarType.Float32, "Q's means"), _at.Of(meansK, ScalarType.Float32, "K's means")));
        return (Heads(0), Heads(1), meansQ is null || meansK is null ? null : new BlockMeans(meansQ.MoveToOuterDisposeScope(), meansK.MoveToOuterDisposeScope()));
    }

    private Tensor NormalizeHeads(WanRmsNorm? norm, Tensor x, int heads, RopeTable? rope, Tensor? means)
    {
        using var scope = NewDisposeScope();
        if (norm is null)
        {
            throw new NotSupportedException("a model without norm_q and norm_k has no kernel for its rotation");
        }

        var offsets = x.shape[1] == _offsets.Tokens ? _offsets : ContextOffsets(x.shape[1]);
        _rmsNorm.Run(
            Branch(x), Branch(x), _type, (int)x.shape[0], heads, Columns(x) / heads, offsets, Weight(norm.Weight), roundProduct: false,
            _at.Of(rope?.Table, ScalarType.Float32, "the angles"), (float)norm.Eps, _at.Of(means, ScalarType.Float32, "the means"));
        return x.unflatten(2, [heads, -1]).transpose(1, 2).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor AddLowRank(LowRankWeights weights, Tensor sparse, Tensor q, Tensor k, Tensor v, Tensor x, LowRankRope rope) =>
        FusesLowRank && weights.Rank == LowRankPasses.Rank && sparse.dtype == _dtype
            ? _lowRank.Add(weights, sparse, q, k, v, x, rope)
            : LowRankBranch.Add(weights, sparse, q, k, v, x, rope);

    /// <inheritdoc/>
    public bool TakesTextOf(long keys, long headSize) => TextAttention.Fits(_device, headSize, keys);

    /// <inheritdoc/>
    public Activation AttendToText(WanRmsNorm norm, Tensor q, Tensor k, Tensor v, int copies, Tensor? most)
    {
        using var scope = NewDisposeScope();
        AttentionTensor View(Tensor x) => CudaDevices.View(CudaDevices.Readable(x), _at);
        var factors = empty(q.shape[..^1], ScalarType.Float32, q.device);
        var inverse = Weight(factors);
        _inverse.Run(Branch(q), inverse, _type, Rows(q), Columns(q), (float)norm.Eps);
        var queries = View(q.unflatten(2, [k.shape[1], -1]).transpose(1, 2));
        if (most is not null)
        {
            var y = EmptyRows(q.shape);
            _text.RunToFp8(queries, View(k), View(v), Codes(y), Weight(y.RowScales), Weight(most), copies, inverse: inverse);
            return new Activation(y.Values.MoveToOuterDisposeScope(), y.RowScales!.MoveToOuterDisposeScope());
        }

        var output = empty(q.shape, _dtype, q.device);
        _text.Run(queries, View(k), View(v), View(output.unflatten(2, [k.shape[1], -1]).transpose(1, 2)), copies, inverse: inverse);
        return output.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor AddGated(Tensor x, Tensor y, Tensor? gate)
    {
        var stride = Stride(gate);
        _gate.Run(Stream(x), Branch(y), _type, Rows(x), Columns(x), Modulation(gate, stride), Group(x, gate), stride);
        return x.alias();
    }

    /// <inheritdoc/>
    public (Tensor X, Tensor Normalized) AddGatedAndNormalize(
        Tensor x, Tensor y, Tensor? gate, WanLayerNorm norm, Tensor? shift = null, Tensor? scale = null)
    {
        AddAndNormalize(x, y, gate, null, y, norm, shift, scale);
        return (x.alias(), y.alias());
    }

    /// <inheritdoc/>
    public (Tensor X, Activation Normalized) AddGatedAndNormalize(
        Tensor x, Tensor y, Tensor? gate, WanLayerNorm norm, bool rowScales, Tensor? shift = null, Tensor? scale = null)
    {
        var h = rowScales ? EmptyRows(x.shape) : y.alias();
        AddAndNormalize(x, y, gate, null, h, norm, shift, scale);
        return (x.alias(), h);
    }

    /// <inheritdoc/>
    public bool DefersBranches => true;

    /// <inheritdoc/>
    public Activation NormalizeGated(Tensor x, Tensor y, Tensor? gate, WanLayerNorm norm, bool rowScales)
    {
        var h = rowScales ? EmptyRows(x.shape) : empty(x.shape, _dtype, x.device);
        AddAndNormalize(x, y, gate, null, h, norm, null, null, keepsSum: false);
        return h;
    }

    /// <inheritdoc/>
    public (Tensor X, Activation Normalized) AddTwoAndNormalize(
        Tensor x, Tensor y, Tensor? gate, Tensor second, WanLayerNorm norm, bool rowScales, Tensor shift, Tensor scale)
    {
        var h = rowScales ? EmptyRows(x.shape) : second.alias();
        AddAndNormalize(x, y, gate, second, h, norm, shift, scale);
        return (x.alias(), h);
    }

    private void AddAndNormalize(
        Tensor x, Tensor y, Tensor? gate, Tensor? second, Activation h, WanLayerNorm norm, Tensor? shift, Tensor? scale, bool keepsSum = true)
    {
        var stride = Stride(gate ?? scale);
        _gateNorm.Run(
            Stream(x), Branch(y), h.RowScales is null ? Branch(h.Values) : Codes(h), _type, Rows(x), Columns(x), (float)norm.Eps, Modulation(gate, stride), Weight(norm.Weight),
            Weight(norm.Bias), Modulation(scale, stride), Modulation(shift, stride), Group(x, gate ?? scale), stride, rowScales: Weight(h.RowScales),
            second: _at.Of(second, _dtype, "a branch"), keepsSum: keepsSum);
    }

    /// <inheritdoc/>
    public Tensor LinearGelu(AutocastLinear layer, Tensor x)
    {
        using var scope = NewDisposeScope();
        var y = empty([x.shape[0], x.shape[1], layer.Matrix.Outputs], _dtype, x.device);
        // The product with GELU in it reads 16 bits; the plain one expands a stored matrix by itself.
        var expanded = _linearGelu is not null && layer.Matrix is StoredMatrix stored ? stored.Expand() : null;
        var isDone = _linearGelu is not null && (expanded ?? (layer.Matrix as DenseMatrix)?.Weight) is { } weight && layer.Bias is not null
            && _linearGelu.TryRun(
                Branch(x), Matrix(weight, "the matrix"), Matrix(layer.Bias, "the bias"), Branch(y), _type, Rows(x), Columns(x), Columns(y));
        if (!isDone)
        {
            var sums = layer.forward(x);
            _gelu.Run(Branch(sums), Branch(y), _type, sums.NumberOfElements);
        }

        return y.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Activation LinearGelu(AutocastLinear layer, Activation x, bool rowScales)
    {
        if (layer.Matrix is not Fp8Matrix && x.RowScales is null)
        {
            return LinearGelu(layer, x.Values);
        }

        using var scope = NewDisposeScope();
        var sums = layer.forward(x);
        if (!rowScales)
        {
            _gelu.Run(Branch(sums), Branch(sums), _type, sums.NumberOfElements);
            return sums.MoveToOuterDisposeScope();
        }

        var y = EmptyRows(sums.shape);
        Fp8Kernels.Of(sums.device).Quantize(sums, y.Values, y.RowScales!, gelu: true);
        return new Activation(y.Values.MoveToOuterDisposeScope(), y.RowScales!.MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _linearGelu?.Dispose();
        _offsets.Dispose();
        foreach (var offsets in _contextOffsets.Values)
        {
            offsets.Dispose();
        }
    }

    // A context has as many tokens as the prompt, or as its pictures.
    private BlockOffsets ContextOffsets(long tokens) => _contextOffsets.TryGetValue(tokens, out var known)
        ? known
        : _contextOffsets[tokens] = BlockOffsets.Even(_device, (int)tokens);

    private Activation EmptyRows(long[] shape) => new(empty(shape, ScalarType.Byte, _at.Device), empty(shape[..^1], ScalarType.Float32, _at.Device));

    private nint Codes(Activation x) => _at.Of(x.Values, ScalarType.Byte, "a branch in fp8");

    // Rows that share a shift, a scale and a gate.
    private static int Group(Tensor x, Tensor? factors) => (int)(x.shape[1] / (factors?.shape[1] ?? 1));

    // Numbers from one group's factors to the next; the groups of a video follow those of the one before at the same distance.
    private static long Stride(Tensor? factors) => factors is null ? 0 : factors.shape[1] == 1 ? factors.stride(0) : factors.stride(1);

    private nint Stream(Tensor x) => _at.Of(x, ScalarType.Float32, "the residual stream");

    private nint Branch(Tensor x) => _at.Of(x, _dtype, "a branch");

    private nint Matrix(Tensor? x, string name) => _at.Of(x, _dtype, name);

    private nint Weight(Tensor? x) => _at.Of(x, ScalarType.Float32, "a norm's weight");

    private nint Modulation(Tensor? x, long stride) => _at.OfRows(x, ScalarType.Float32, stride, "a modulation");

    private static int Rows(Tensor x) => checked((int)(x.shape[0] * x.shape[1]));

    private static int Columns(Tensor x) => (int)x.shape[2];
}
