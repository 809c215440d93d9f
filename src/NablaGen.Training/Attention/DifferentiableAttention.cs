using NablaGen.Attention;
using static TorchSharp.torch;

namespace NablaGen.Training.Attention;

/// <summary>Makes attentions that training can differentiate; those of <see cref="AttentionFactory"/> have a forward pass only.</summary>
public static class DifferentiableAttention
{
    /// <summary>The attention that an expression names, for a device.</summary>
    /// <param name="expression">Which blocks to keep.</param>
    /// <param name="device">Where the tensors will be.</param>
    /// <param name="denseSteps">First steps to keep dense; null for the expression's own default.</param>
    /// <param name="observer">Is told what was kept.</param>
    /// <exception cref="NablaGenException">The device has no block-sparse back end, or the expression has no gradient.</exception>
    public static IAttention Create(AttentionExpression expression, Device device, int? denseSteps = null, IAttentionObserver? observer = null)
    {
        PooledTail.Refuse(expression);
        // libtorch's own dense attention has a gradient.
        var dense = new DenseAttention(observer);
        if (expression.IsDense)
        {
            return dense;
        }

        var sparse = new BlockSparseAttention(expression, DifferentiableBackend.Create(device), observer);
        return (denseSteps ?? expression.DefaultDenseSteps) is > 0 and var steps ? new ScheduledAttention(dense, sparse, steps, 0) : sparse;
    }
}
