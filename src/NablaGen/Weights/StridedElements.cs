using NablaGen.Files;

namespace NablaGen.Weights;

/// <summary>Reads a view with any strides in row-major order.</summary>
internal static unsafe class StridedElements
{
    /// <summary>Brings the elements of a view, a piece at a time.</summary>
    /// <param name="storage">The bytes that it is a view of; all its elements lie inside.</param>
    /// <param name="view">The view.</param>
    /// <param name="pieceBytes">The most bytes of a piece, a multiple of the type's size.</param>
    /// <param name="user">Takes each piece.</param>
    public static void Bring(ReadOnlySpan<byte> storage, StateTensor view, int pieceBytes, MappedFile.PieceUser user)
    {
        var size = view.Type.Size();
        var total = view.Shape.Aggregate((long)size, (product, side) => product * side);
        var piece = new byte[(int)Math.Min(pieceBytes, total)];
        var index = new long[view.Shape.Length];
        var from = view.Offset;
        for (long done = 0; done < total;)
        {
            var filled = 0;
            for (; filled < piece.Length && done + filled < total; filled += size)
            {
                storage.Slice((int)(from * size), size).CopyTo(piece.AsSpan(filled));
                for (var side = index.Length - 1; side >= 0; side--)
                {
                    from += view.Strides[side];
                    if (++index[side] < view.Shape[side])
                    {
                        break;
                    }

                    from -= view.Strides[side] * view.Shape[side];
                    index[side] = 0;
                }
            }

            fixed (byte* start = piece)
            {
                user(start, filled, done);
            }

            done += filled;
        }
    }
}
