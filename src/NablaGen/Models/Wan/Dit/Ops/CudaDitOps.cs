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
    private readonly ScalarType _dtype;
    private readonly ElementType _type;
    private readonly LayerNormModulate _layerNorm;
    private readonly RmsNormRope _rmsNorm;
    private readonly GateResidual _gate;
    private readonly GateResidualNorm _gateNorm;
    private readonly GeluTanh _gelu;
    private readonly LinearGelu? _linearGelu;
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
        (_dtype, _type) = (dtype, CudaDevices.ElementType(dtype));
        _layerNorm = new LayerNormModulate(cuda);
        _rmsNorm = new RmsNormRope(cuda);
        _gate = new GateResidual(cuda);
        _gateNorm = new GateResidualNorm(cuda);
        _gelu = new GeluTanh(cuda);
        _linearGelu = NablaGen.Cuda.Gemm.LinearGelu.IsAvailable ? new LinearGelu(cuda) : null;
        _offsets = new BlockOffsets(cuda, layout.Lengths);
    }

    /// <summary>Whether there are kernels for a model of these sizes in this type.</summary>
    public static bool Fit(DitConfig config, ScalarType dtype) =>
        CudaDevices.IsSixteenBit(dtype) && config.HeadDim is 64 or 128 && config.FfnDim % 8 == 0;

    /// <inheritdoc/>
    public Tensor Modulate(WanLayerNorm norm, Tensor x, Tensor shift, Tensor scale)
    {
        var y = empty(x.shape, _dtype, x.device);
        _layerNorm.Run(
            Address(x), Address(y), _type, Rows(x), Columns(x), (float)norm.Eps, scale: Address(scale), shift: Address(shift),
            rowsPerBatch: Group(x, scale), modulationStride: Stride(scale));
        return y;
    }

    /// <inheritdoc/>
    public Tensor Normalize(WanLayerNorm norm, Tensor x)
    {
        var y = empty(x.shape, _dtype, x.device);
        _layerNorm.Run(Address(x), Address(y), _type, Rows(x), Columns(x), (float)norm.Eps, Address(norm.Weight), Address(norm.Bias));
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

    private Tensor NormalizeHeads(WanRmsNorm? norm, Tensor x, int heads, RopeTable? rope, Tensor? means)
    {
        using var scope = NewDisposeScope();
        if (norm is null)
        {
            throw new NotSupportedException("a model without norm_q and norm_k has no kernel for its rotation");
        }

        var offsets = x.shape[1] == _offsets.Tokens ? _offsets : ContextOffsets(x.shape[1]);
        _rmsNorm.Run(
            Address(x), Address(x), _type, (int)x.shape[0], heads, Columns(x) / heads, offsets, Address(norm.Weight), roundProduct: false,
            Address(rope?.Table), (float)norm.Eps, Address(means));
        return x.unflatten(2, [heads, -1]).transpose(1, 2).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor AddGated(Tensor x, Tensor y, Tensor? gate)
    {
        _gate.Run(
            Address(x), Address(y), _type, Rows(x), Columns(x), Address(gate), Group(x, gate), Stride(gate));
        return x.alias();
    }

    /// <inheritdoc/>
    public (Tensor X, Tensor Normalized) AddGatedAndNormalize(
        Tensor x, Tensor y, Tensor? gate, WanLayerNorm norm, Tensor? shift = null, Tensor? scale = null)
    {
        _gateNorm.Run(
            Address(x), Address(y), Address(y), _type, Rows(x), Columns(x), (float)norm.Eps, Address(gate), Address(norm.Weight), Address(norm.Bias),
            Address(scale), Address(shift), Group(x, gate ?? scale), Stride(gate ?? scale));
        return (x.alias(), y.alias());
    }

    /// <inheritdoc/>
    public Tensor LinearGelu(AutocastLinear layer, Tensor x)
    {
        using var scope = NewDisposeScope();
        var y = empty([x.shape[0], x.shape[1], layer.Matrix.Outputs], _dtype, x.device);
        if (_linearGelu is not null && layer is { Matrix: DenseMatrix matrix, Bias: not null })
        {
            _linearGelu.Run(Address(x), Address(matrix.Weight), Address(layer.Bias), Address(y), _type, Rows(x), Columns(x), Columns(y));
        }
        else
        {
            var sums = layer.forward(x);
            _gelu.Run(Address(sums), Address(y), _type, sums.NumberOfElements);
        }

        return y.MoveToOuterDisposeScope();
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

    // Rows that share a shift, a scale and a gate.
    private static int Group(Tensor x, Tensor? factors) => (int)(x.shape[1] / (factors?.shape[1] ?? 1));

    // Numbers from one group's factors to the next; the groups of a video follow those of the one before at the same distance.
    private static long Stride(Tensor? factors) => factors is null ? 0 : factors.shape[1] == 1 ? factors.stride(0) : factors.stride(1);

    private static nint Address(Tensor? tensor) => tensor is null ? 0 : TensorMemory.Address(tensor);

    private static int Rows(Tensor x) => checked((int)(x.shape[0] * x.shape[1]));

    private static int Columns(Tensor x) => (int)x.shape[2];
}
