using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace NablaGen.Attention;

/// <summary>Attention to every token, through libtorch's fused kernels (flash_attention, wan/modules/attention.py).</summary>
public sealed class DenseAttention(IAttentionObserver? observer = null) : IAttention
{
    /// <inheritdoc/>
    public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionSite site, BlockMeans? means = null)
    {
        observer?.OnDense(site with { Fp8 = null });
        return scaled_dot_product_attention(q, k, v);
    }

    /// <inheritdoc/>
    public bool Repeats => true;

    /// <inheritdoc/>
    public void RepeatFirst(int step) => observer?.OnDense(new AttentionSite(step, 0));

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
