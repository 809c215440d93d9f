using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>NABLA, STA or their union: finds the blocks to keep, then attends over those only.</summary>
public sealed class BlockSparseAttention(AttentionExpression expression, IBlockSparseBackend backend, IAttentionObserver? observer = null)
    : IAttention
{
    /// <inheritdoc/>
    public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionSite site)
    {
        var output = backend.Forward(q, k, v, layout, expression, out var kept);
        observer?.OnSparse(site, kept);
        return output;
    }

    /// <inheritdoc/>
    public void Dispose() => backend.Dispose();
}
