using NablaGen.Files;

namespace NablaGen.Weights;

/// <summary>
/// Finds zeros in the middle of a matrix that no training leaves, as its bytes are read anyway: a download by several connections that was
/// not finished has such gaps, too short or too far apart for <see cref="ZeroRun"/>.
/// </summary>
/// <remarks>
/// Rows that are zeros (padding of a vocabulary, a layer that is not trained yet, pruned channels) begin and end where rows do. A gap of a
/// download knows nothing of rows.
/// </remarks>
internal static unsafe class ZeroGap
{
    /// <summary>The shortest stretch that counts, in bytes.</summary>
    public const int Least = 1 << 15;

    // Each stretch that counts has a whole probe in it.
    private const int Step = Least / 2;
    private const int ProbeBytes = 64;

    // A row's first or last numbers may be zeros by chance.
    private const int Margin = 64;

    /// <summary>Looks at each piece before it is used. A piece's end is none of a gap's.</summary>
    /// <param name="source">Where the tensor is, for the message.</param>
    /// <param name="entry">The tensor.</param>
    /// <param name="user">Uses the pieces.</param>
    /// <exception cref="EnvironmentException">Thrown by the user that is returned: there is a gap.</exception>
    public static MappedFile.PieceUser Watch(ITensorSource source, TensorEntry entry, MappedFile.PieceUser user) => entry.ByteCount < Least
        ? user
        : (start, count, done) =>
        {
            if (Find(new ReadOnlySpan<byte>(start, checked((int)count)), done, entry) is var (from, length))
            {
                throw new EnvironmentException($"{source.FileOf(entry.Name)}: tensor {Line.Key(entry.Name)} has {length >> 10} KiB of zeros from its byte {from} on, in the middle of a row: "
                    + "a download that took its place on the disk and was not finished; download it again.");
            }

            user(start, count, done);
        };

    private static (long From, long Length)? Find(ReadOnlySpan<byte> piece, long done, TensorEntry entry)
    {
        for (var at = 0; at + ProbeBytes <= piece.Length; at += Step)
        {
            if (piece.Slice(at, ProbeBytes).ContainsAnyExcept((byte)0))
            {
                continue;
            }

            var from = piece[..at].LastIndexOfAnyExcept((byte)0) + 1;
            var length = piece[at..].IndexOfAnyExcept((byte)0) is >= 0 and var more ? at + more - from : piece.Length - from;
            if (length >= Least && ((from > 0 && IsInRow(done + from, entry)) || (from + length < piece.Length && IsInRow(done + from + length, entry))))
            {
                return (done + from, length);
            }

            // The next probe is the first behind it.
            at += (from + length - at) / Step * Step;
        }

        return null;
    }

    // Sides of 1 come first where a tensor is to be spread over others: six modulations are [1, 6, dim], six rows.
    private static bool IsInRow(long at, TensorEntry entry)
    {
        var sides = entry.Shape.SkipWhile(side => side == 1).ToArray();
        var row = sides.Length < 2 ? entry.ByteCount : entry.ByteCount / sides[0];
        return at % row >= Margin && row - (at % row) >= Margin;
    }
}
