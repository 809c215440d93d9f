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
    /// <param name="fp8">Takes the output in fp8 where this back end can write it so; null where nobody needs that.</param>
    /// <returns>A new tensor in the type of <paramref name="v"/>, or codes. [B, H, L, D]</returns>
    Tensor Forward(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks kept, int layer = 0,
        BlockMeans? means = null, Fp8Output? fp8 = null);

    /// <summary>Keeps what a call kept for later calls: see <see cref="FrozenMasks"/>.</summary>
    /// <param name="kept">What the last call told.</param>
    /// <param name="room">What an earlier call of this method returned and nobody needs any more; null for none.</param>
    /// <returns>The mask, the caller's; <paramref name="room"/> is part of it or freed.</returns>
    IHeldMask Hold(IKeptBlocks kept, IHeldMask? room = null) => throw new NotSupportedException($"{GetType().Name} cannot keep masks");

    /// <summary>Attends over the blocks of a mask that an earlier call made.</summary>
    /// <param name="q">Queries. [B, H, L, D]</param>
    /// <param name="k">Keys. [B, H, L, D]</param>
    /// <param name="v">Values. [B, H, L, D]</param>
    /// <param name="layout">The blocks of the L tokens.</param>
    /// <param name="expression">A sparse expression.</param>
    /// <param name="mask">What to keep, from <see cref="Hold"/>.</param>
    /// <param name="kept">The same, with this call's times, until the next call.</param>
    /// <param name="means">As for <see cref="Forward"/>.</param>
    /// <param name="fp8">As for <see cref="Forward"/>.</param>
    /// <returns>A new tensor in the type of <paramref name="v"/>, or codes. [B, H, L, D]</returns>
    Tensor ForwardWith(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, IHeldMask mask, out IKeptBlocks kept, BlockMeans? means = null,
        Fp8Output? fp8 = null) =>
        throw new NotSupportedException($"{GetType().Name} cannot reuse masks");

    /// <summary>Attends to everything, and chooses blocks by what each of them carries exactly instead of by block means.</summary>
    /// <param name="q">Queries. [B, H, L, D]</param>
    /// <param name="k">Keys. [B, H, L, D]</param>
    /// <param name="v">Values. [B, H, L, D]</param>
    /// <param name="layout">The blocks of the L tokens.</param>
    /// <param name="expression">A sparse expression.</param>
    /// <param name="mask">The choice, for <see cref="Hold"/>, until the next call.</param>
    /// <param name="layer">The transformer block, from 0.</param>
    /// <returns>A new tensor in the type of <paramref name="v"/>. [B, H, L, D]</returns>
    Tensor Survey(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks mask, int layer) =>
        throw new NotSupportedException($"{GetType().Name} cannot survey");
}

/// <summary>A mask that outlives the call that made it, for the back end that it is of.</summary>
public interface IHeldMask : IDisposable
{
}
