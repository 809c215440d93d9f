namespace NablaGen.Cuda.Attention;

/// <summary>
/// A block mask as bits in device memory, its most compact form: uint32 [heads, blocks, words]; bit j % 32 of word j / 32 in row i is
/// key block j of query block i, no bit set past the last block.
/// </summary>
/// <param name="Pointer">Device address.</param>
/// <param name="Heads">Batch times heads, or 1 for a mask that all share.</param>
/// <param name="Blocks">Blocks of tokens.</param>
public readonly record struct MaskBits(nint Pointer, int Heads, int Blocks)
{
    /// <summary>32-bit words a row.</summary>
    public int Words => (Blocks + 31) / 32;

    /// <summary>Size.</summary>
    public long Bytes => 4L * Heads * Blocks * Words;
}
