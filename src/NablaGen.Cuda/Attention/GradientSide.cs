namespace NablaGen.Cuda.Attention;

/// <summary>
/// One side of the gradients' work: who owns a thread block (query blocks, or key blocks) and whom it meets. Contract:
/// block_attention_backward_sm80.cu.
/// </summary>
/// <param name="Keys">Whether key blocks own.</param>
/// <param name="OwnedA">Q, or K.</param>
/// <param name="OwnedB">The output's gradient, or V.</param>
/// <param name="PartnerA">K, or Q.</param>
/// <param name="PartnerB">V, or the output's gradient.</param>
/// <param name="GradientA">Gets Q's gradient, or K's.</param>
/// <param name="GradientB">Gets V's gradient where key blocks own.</param>
/// <param name="Bits">The mask, or the transposed mask.</param>
/// <param name="Sums">Device address of the pairs that attention_backward_sums wrote.</param>
/// <param name="Scale">Factor of the logits.</param>
internal readonly record struct GradientSide(
    bool Keys, AttentionTensor OwnedA, AttentionTensor OwnedB, AttentionTensor PartnerA, AttentionTensor PartnerB,
    AttentionTensor GradientA, AttentionTensor? GradientB, MaskBits Bits, nint Sums, float Scale)
{
    /// <summary>A thread block for each block and head.</summary>
    public (int X, int Y, int Z) Grid => (Bits.Blocks, OwnedA.Rows, 1);

    /// <summary>The kernel's macros.</summary>
    public string[] Macros => OwnedA.Macros($"KEYS={(Keys ? 1 : 0)}");

    /// <summary>Shared memory of the six tiles.</summary>
    public int TileBytes => 6 * BlockOffsets.BlockSize * OwnedA.HeadSize * 2;

    /// <summary>From a head's bits to the next's.</summary>
    public long BitHeadStride => Bits.Heads == 1 ? 0 : (long)Bits.Blocks * Bits.Words;
}
