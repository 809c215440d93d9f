using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors.Layers;
using static TorchSharp.torch;

namespace NablaGen.Training.Dit.Ops;

/// <summary>
/// The passes with a gradient as one kernel forwards and one backwards: float32 residual stream, 16-bit branches. What has no kernel is
/// left to <see cref="TrainingOps"/>. They must live until the last backward pass through them is done.
/// </summary>
public sealed class CudaTrainingOps : IDitOps
{
    private readonly IOpKernels _kernels;
    private readonly TrainingOps _others;

    /// <summary>The passes on a device; their kernels are compiled, or read from the cache, at first use.</summary>
    /// <param name="device">The CUDA device.</param>
    /// <param name="dtype">The type of the products: bfloat16 or float16.</param>
    /// <exception cref="NablaGenException">The device cannot be used.</exception>
    public CudaTrainingOps(Device device, ScalarType dtype)
        : this(new CudaOpKernels(device, dtype), dtype)
    {
    }

    internal CudaTrainingOps(IOpKernels kernels, ScalarType dtype) => (_kernels, _others) = (kernels, new TrainingOps(dtype));

    /// <inheritdoc/>
    public Tensor Modulate(WanLayerNorm norm, Tensor x, Tensor shift, Tensor scale) =>
        ResidualFunction.Run(_kernels, x, null, null, Norm(norm, shift, scale))[0];

    /// <inheritdoc/>
    public Tensor Normalize(WanLayerNorm norm, Tensor x) => ResidualFunction.Run(_kernels, x, null, null, Norm(norm, null, null))[0];

    /// <inheritdoc/>
    public Tensor NormalizeHeads(WanRmsNorm? norm, Tensor x, int heads, RopeTable? rope)
    {
        if (norm is null)
        {
            return _others.NormalizeHeads(norm, x, heads, rope);
        }

        using var scope = NewDisposeScope();
        return HeadsFunction.Run(_kernels, x, norm.Weight, new HeadsCall(heads, rope?.Table, norm.Eps))
            .unflatten(2, [heads, -1]).transpose(1, 2).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor AddGated(Tensor x, Tensor y, Tensor? gate) => ResidualFunction.Run(_kernels, x, y, gate, null)[0];

    /// <inheritdoc/>
    public (Tensor X, Tensor Normalized) AddGatedAndNormalize(
        Tensor x, Tensor y, Tensor? gate, WanLayerNorm norm, Tensor? shift = null, Tensor? scale = null)
    {
        var results = ResidualFunction.Run(_kernels, x, y, gate, Norm(norm, shift, scale));
        return (results[0], results[1]);
    }

    /// <inheritdoc/>
    public Tensor LinearGelu(AutocastLinear layer, Tensor x) => _others.LinearGelu(layer, x);

    /// <inheritdoc/>
    public void Dispose()
    {
        _kernels.Dispose();
        _others.Dispose();
    }

    private static OpNorm Norm(WanLayerNorm norm, Tensor? shift, Tensor? scale)
    {
        if (shift is null)
        {
            return new OpNorm(norm.Weight, norm.Bias, false, norm.Eps);
        }

        return norm.Weight is null
            ? new OpNorm(scale, shift, true, norm.Eps)
            : throw new NotSupportedException("a LayerNorm with weights and a modulation has no kernel for its gradient");
    }
}
