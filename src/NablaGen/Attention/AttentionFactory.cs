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
    /// <exception cref="NablaGenException">The device has no block-sparse back end.</exception>
    public static IAttention Create(
        AttentionExpression expression, Device device, int? denseSteps = null, int denseLayers = 0, IAttentionObserver? observer = null,
        Func<int, double>? thresholds = null, DensityCurve? curve = null, bool eightBits = false)
    {
        var dense = device.type == DeviceType.CUDA ? CudaDenseAttention.Create(device, observer, eightBits) : new DenseAttention(observer);
        if (expression.IsDense)
        {
            return dense;
        }

        var sparse = new BlockSparseAttention(expression, Backend(device, eightBits), observer, thresholds, curve);
        var steps = denseSteps ?? expression.DefaultDenseSteps;
        return steps == 0 && denseLayers == 0 ? sparse : new ScheduledAttention(dense, sparse, steps, denseLayers);
    }

    /// <summary>Sees that a device has the kernels for an expression.</summary>
    /// <exception cref="InvalidRequestException">It has not.</exception>
    public static void Check(AttentionExpression expression, DeviceType device)
    {
        if (device == DeviceType.CUDA && expression.Top is not null)
        {
            throw new InvalidRequestException($"attention '{expression}': +top works on the CPU alone so far: on CUDA leave it out");
        }
    }

    /// <summary>What computes block-sparse attention on a device.</summary>
    internal static IBlockSparseBackend Backend(Device device, bool eightBits = false) => device.type switch
    {
        DeviceType.CPU => new CpuBlockSparseBackend(),
        DeviceType.CUDA => new CudaBlockSparseBackend(device, eightBits),
        _ => throw new NablaGenException($"sparse attention has no kernels for {device.type.ToString().ToLowerInvariant()}: use --attention dense"),
    };
}
