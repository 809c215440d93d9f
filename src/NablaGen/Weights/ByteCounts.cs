namespace NablaGen.Weights;

/// <summary>Sizes of shapes that a file declares, which may be absurd.</summary>
internal static class ByteCounts
{
    /// <summary>The bytes of a tensor; false if they don't fit in a long.</summary>
    public static bool TryOf(ReadOnlySpan<long> shape, StoredType type, out long bytes)
    {
        // A zero anywhere makes it empty, however large the other sizes are.
        UInt128 product = (UInt128)type.Size();
        foreach (var size in shape)
        {
            if (size == 0)
            {
                bytes = 0;
                return true;
            }
        }

        foreach (var size in shape)
        {
            product *= (UInt128)size;
            if (product > long.MaxValue)
            {
                bytes = 0;
                return false;
            }
        }

        bytes = (long)product;
        return true;
    }
}
