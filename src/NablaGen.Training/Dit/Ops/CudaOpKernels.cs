using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Fused;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.Dit.Ops;

/// <summary>The passes and their gradients as our kernels (docs/kernels.md). Holds their workspaces, so one a run, and for one thread.</summary>
internal sealed class CudaOpKernels : IOpKernels
{
    private readonly CudaDevice _device;
    private readonly KernelAddress _at;
    private readonly ScalarType _dtype;
    private readonly ElementType _type;
    private readonly LayerNormModulate _norm;
    private readonly GateResidual _gate;
    private readonly GateResidualNorm _gateNorm;
    private readonly RmsNormRope _heads;
    private readonly GateResidualNormBackward _residualBackward;
    private readonly RmsNormRopeBackward _headsBackward;
    private readonly Dictionary<int, BlockOffsets> _offsets = [];

    public CudaOpKernels(Device device, ScalarType dtype)
    {
        _device = CudaDevices.Open(device);
        (_at, _dtype, _type) = (new KernelAddress(device), dtype, CudaDevices.ElementType(dtype));
        _norm = new LayerNormModulate(_device);
        _gate = new GateResidual(_device);
        _gateNorm = new GateResidualNorm(_device);
        _heads = new RmsNormRope(_device);
        _residualBackward = new GateResidualNormBackward(_device);
        _headsBackward = new RmsNormRopeBackward(_device);
    }

    /// <inheritdoc/>
    public (Tensor? Sum, Tensor? Normalized, Tensor? Statistics) AddAndNormalize(Tensor x, Tensor? y, Tensor? gate, OpNorm? norm)
    {
        using var scope = NewDisposeScope();
        var (batch, rows, columns) = Sizes(x);
        (x, y) = (x.contiguous(), y?.contiguous());
        // The kernels step from batch to batch by the same stride in all three; a view of a chunk has its whole's.
        var modulation = new[] { gate, norm?.Scale, norm?.Shift }.OfType<Tensor>().ToArray();
        var stride = modulation.FirstOrDefault()?.stride(0) ?? 0;
        if (modulation.Any(tensor => tensor.stride(0) != stride || tensor.stride(2) != 1))
        {
            throw new ArgumentException("gate, scale and shift must be parts of one tensor");
        }

        var sum = y is null ? null : empty_like(x);
        if (norm is null)
        {
            _gate.Run(Address(x), Address(y), _type, batch * rows, columns, Address(gate), rows, stride, Address(sum));
            return (Out(sum), null, null);
        }

        var normalized = empty(x.shape, _dtype, x.device);
        var statistics = empty([batch, rows, 2], ScalarType.Float32, x.device);
        if (y is null)
        {
            _norm.Run(
                Address(x), Address(normalized), _type, batch * rows, columns, (float)norm.Epsilon, Address(norm.Weight), Address(norm.Bias),
                Address(norm.Scale), Address(norm.Shift), rows, stride, Address(statistics));
        }
        else
        {
            _gateNorm.Run(
                Address(x), Address(y), Address(normalized), _type, batch * rows, columns, (float)norm.Epsilon, Address(gate),
                Address(norm.Weight), Address(norm.Bias), Address(norm.Scale), Address(norm.Shift), rows, stride, Address(sum), Address(statistics));
        }

        return (Out(sum), Out(normalized), Out(statistics));
    }

    /// <inheritdoc/>
    public ResidualGradients Differentiate(
        Tensor? sum, Tensor? statistics, Tensor? y, Tensor? gate, OpNorm? norm, ScalarType? branch, Tensor? sumGradient,
        Tensor? normalizedGradient)
    {
        using var scope = NewDisposeScope();
        var like = (sumGradient ?? normalizedGradient)!;
        var (batch, rows, columns) = Sizes(like);
        var (g, u) = (sumGradient?.to_type(ScalarType.Float32).contiguous(), normalizedGradient?.to_type(_dtype).contiguous());

        Tensor? dx = null, normSums = null, dy = null, dgate = null;
        NormGradient? normPart = null;
        if (norm is not null)
        {
            dx = empty(like.shape, ScalarType.Float32, like.device);
            long[] shape = norm.IsModulation ? [2, batch, 1, columns] : [2, columns];
            normSums = norm.Gain is null ? null : empty(shape, ScalarType.Float32, like.device);
            normPart = new NormGradient(
                Address(sum!.contiguous()), Address(statistics), Address(u), Address(norm.Gain), Address(normSums), norm.IsModulation,
                norm.IsModulation ? norm.Gain!.stride(0) : 0);
        }

        BranchGradient? branchPart = null;
        if (branch is not null)
        {
            dy = empty(like.shape, _dtype, like.device);
            dgate = gate is null ? null : empty([batch, 1, columns], ScalarType.Float32, like.device);
            branchPart = new BranchGradient(Address(dy), Address(y?.contiguous()), Address(gate), Address(dgate), gate?.stride(0) ?? 0);
        }

        _residualBackward.Run(_type, batch, rows, columns, Address(g), Address(dx), normPart, branchPart);
        return new ResidualGradients(
            Out(dx) ?? sumGradient!, Out(dy), Out(dgate), Out(normSums?.select(0, 0)), Out(normSums?.select(0, 1)));
    }

    /// <inheritdoc/>
    public Tensor NormalizeHeads(Tensor x, Tensor weight, HeadsCall call)
    {
        using var scope = NewDisposeScope();
        var (batch, rows, columns) = Sizes(x);
        x = x.contiguous();
        var y = empty_like(x);
        _heads.Run(
            Address(x), Address(y), _type, batch, call.Heads, columns / call.Heads, Offsets(rows), Address(weight), roundProduct: false,
            Address(call.Table), (float)call.Epsilon);
        return y.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public (Tensor X, Tensor Weight) DifferentiateHeads(Tensor x, Tensor weight, HeadsCall call, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        var (batch, rows, columns) = Sizes(x);
        (x, gradient) = (x.contiguous(), gradient.to_type(_dtype).contiguous());
        var (dx, dweight) = (empty_like(x), empty_like(weight));
        _headsBackward.Run(
            Address(x), Address(gradient), Address(dx), _type, batch, rows, call.Heads, columns / call.Heads, Address(weight), Address(dweight),
            Address(call.Table), (float)call.Epsilon);
        return (dx.MoveToOuterDisposeScope(), dweight.MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _residualBackward.Dispose();
        _headsBackward.Dispose();
        foreach (var offsets in _offsets.Values)
        {
            offsets.Dispose();
        }

        _offsets.Clear();
    }

    // Gates and gains are parts of a modulation, rows of one tensor; all others are whole.
    private nint Address(Tensor? tensor) => tensor is null ? 0
        : tensor.is_contiguous() ? _at.Of(tensor, tensor.dtype, "an op's tensor")
        : _at.OfRows(tensor, ScalarType.Float32, tensor.stride(0), "a modulation");

    private static Tensor? Out(Tensor? tensor) => tensor?.MoveToOuterDisposeScope();

    private static (int Batch, int Rows, int Columns) Sizes(Tensor x) => ((int)x.shape[0], (int)x.shape[1], (int)x.shape[2]);

    // The forward kernel walks over pieces of up to 64 tokens; they have no meaning here.
    private BlockOffsets Offsets(int tokens)
    {
        if (!_offsets.TryGetValue(tokens, out var offsets))
        {
            _offsets.Add(tokens, offsets = BlockOffsets.Even(_device, tokens));
        }

        return offsets;
    }
}
