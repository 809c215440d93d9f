using NablaGen.Attention.Cpu;
using NablaGen.Attention.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>Makes the attention of a run from its expression: a forward pass only. NablaGen.Training makes those with a gradient.</summary>
public static class AttentionFactory
{
    /// <summary>The attention that an expression names, for a device.</summary>
    /// <param name="expression">What to keep.</param>
    /// <param name="device">Where the tensors will be.</param>
    /// <param name="denseSteps">First steps to keep dense; null for the expression's own default.</param>
    /// <param name="denseLayers">First layers to keep dense.</param>
    /// <param name="observer">Is told what was kept.</param>
    /// <param name="thresholds">NABLA's threshold by step, instead of the expression's.</param>
    /// <param name="curve">Gets the queries and keys of sparse attentions while it is open.</param>
    /// <param name="eightBits">Whether it may be computed in eight bits, where the device and the heads have kernels for that.</param>
    /// <param name="maskEvery">Steps that a mask serves.</param>
    /// <param name="maskFromStep">The dense step, from 1, whose exact masses choose the masks of all later ones; null for none.</param>
    /// <exception cref="NablaGenException">The device has no block-sparse back end.</exception>
    public static IAttention Create(
        AttentionExpression expression, Device device, int? denseSteps = null, int denseLayers = 0, IAttentionObserver? observer = null,
        Func<int, double>? thresholds = null, DensityCurve? curve = null, bool eightBits = false, int maskEvery = 1, int? maskFromStep = null)
    {
        var dense = device.type == DeviceType.CUDA ? CudaDenseAttention.Create(device, observer, eightBits) : new DenseAttention(observer);
        if (expression.IsDense)
        {
            return dense;
        }

        var frozen = maskFromStep is not null ? new FrozenMasks(null, surveys: true) : maskEvery > 1 ? new FrozenMasks(maskEvery, surveys: false) : null;
        var sparse = new BlockSparseAttention(expression, Backend(device, eightBits), observer, thresholds, curve, frozen);
        // The step of the survey is dense too, but the sparse attention's own.
        var steps = maskFromStep - 1 ?? denseSteps ?? expression.DefaultDenseSteps;
        return steps == 0 && denseLayers == 0 ? sparse : new ScheduledAttention(dense, sparse, steps, denseLayers);
    }

    /// <summary>What computes block-sparse attention on a device.</summary>
    internal static IBlockSparseBackend Backend(Device device, bool eightBits = false) => device.type switch
    {
        DeviceType.CPU => new CpuBlockSparseBackend(),
        DeviceType.CUDA => new CudaBlockSparseBackend(device, eightBits),
        _ => throw new NablaGenException($"sparse attention has no kernels for {device.type.ToString().ToLowerInvariant()}: use --attention dense"),
    };
}
