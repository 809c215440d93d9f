using NablaGen.Attention;
using NablaGen.Training.Attention.Cpu;
using NablaGen.Training.Attention.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Training.Attention;

/// <summary>
/// Block-sparse attention with a gradient in queries, keys and values; the choice of blocks has none. Its numbers are those of the device's
/// back end for inference. On CUDA it must live until the last backward pass through it is done.
/// </summary>
public sealed class DifferentiableBackend : IBlockSparseBackend
{
    private readonly IAttentionDifferentiator _differentiator;

    internal DifferentiableBackend(IAttentionDifferentiator differentiator) => _differentiator = differentiator;

    /// <inheritdoc/>
    public bool TakesBlockMeans => _differentiator.Inference.TakesBlockMeans;

    /// <summary>The back end of a device.</summary>
    /// <exception cref="NablaGenException">The device has none, or cannot be used.</exception>
    public static DifferentiableBackend Create(Device device) => new(device.type switch
    {
        DeviceType.CPU => new CpuAttentionDifferentiator(),
        DeviceType.CUDA => new CudaAttentionDifferentiator(device),
        _ => throw new NablaGenException($"sparse attention has no kernels for {device.type.ToString().ToLowerInvariant()}: train with --attention dense"),
    });

    /// <inheritdoc/>
    public Tensor Forward(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks kept, int layer = 0,
        BlockMeans? means = null, Fp8Output? fp8 = null)
    {
        if (!is_grad_enabled() || !(q.requires_grad || k.requires_grad || v.requires_grad))
        {
            return _differentiator.Inference.Forward(q, k, v, layout, expression, out kept, layer, means);
        }

        PooledTail.Refuse(expression);
        var call = new DifferentiableCall(layout, expression, layer, means);
        var output = BlockSparseFunction.Run(_differentiator, call, q, k, v);
        kept = call.Kept!;
        return output;
    }

    /// <inheritdoc/>
    public void Dispose() => _differentiator.Dispose();
}
