using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>What computes a block-sparse attention on one kind of device.</summary>
public interface IBlockSparseBackend : IDisposable
{
    /// <summary>Whether means over blocks that come along are of use.</summary>
    bool TakesBlockMeans => false;

    /// <summary>
    /// Makes the mask of <paramref name="expression"/> and attends over its blocks. A forward pass only: those with a gradient are in
    /// NablaGen.Training.
    /// </summary>
    /// <param name="q">Queries. [B, H, L, D]</param>
    /// <param name="k">Keys. [B, H, L, D]</param>
    /// <param name="v">Values. [B, H, L, D]</param>
    /// <param name="layout">The blocks of the L tokens.</param>
    /// <param name="expression">A sparse expression.</param>
    /// <param name="kept">What was kept, until the next call.</param>
    /// <param name="layer">The transformer block, from 0, whose thresholds count where the expression has some for each.</param>
    /// <param name="means">Means of q and k over the blocks, if <see cref="TakesBlockMeans"/> and a pass before made them.</param>
    /// <returns>A new tensor in the type of <paramref name="v"/>. [B, H, L, D]</returns>
    Tensor Forward(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks kept, int layer = 0,
        BlockMeans? means = null);
}
