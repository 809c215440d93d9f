namespace NablaGen.Training.Evaluation;

/// <summary>One object through a clip: its blob in each frame where it was found.</summary>
internal sealed class ObjectTrack
{
    // Half sides that an object may go from frame to frame; a bouncing one is fast.
    private const double LongestStep = 0.75;

    // What an object must be seen in, of all frames.
    private const double LeastPresence = 0.6;

    private readonly List<Blob> _blobs = [];

    private ObjectTrack(Blob first) => _blobs.Add(first);

    /// <summary>The blobs, by frame.</summary>
    public IReadOnlyList<Blob> Blobs => _blobs;

    /// <summary>Follows the objects of a clip; those seen in less than 60% of the frames are left out.</summary>
    public static List<ObjectTrack> Follow(ClipPixels pixels)
    {
        var found = new List<Blob>[pixels.Frames];
        Parallel.For(0, pixels.Frames, t => found[t] = Blob.Find(pixels, t));
        var tracks = new List<ObjectTrack>();
        foreach (var blobs in found)
        {
            // The nearest pairs first, in place and colour.
            var pairs = tracks.SelectMany(_ => blobs, (track, blob) => (track, blob, cost: Cost(track._blobs[^1], blob, pixels.HalfSide)))
                .Where(p => p.cost < LongestStep).OrderBy(p => p.cost).ToList();
            var (tracksLeft, blobsLeft) = (tracks.ToHashSet(), blobs.ToHashSet());
            foreach (var (track, blob, _) in pairs)
            {
                if (tracksLeft.Contains(track) && blobsLeft.Remove(blob))
                {
                    tracksLeft.Remove(track);
                    track._blobs.Add(blob);
                }
            }

            tracks.AddRange(blobsLeft.Select(blob => new ObjectTrack(blob)));
        }

        return [.. tracks.Where(t => t._blobs.Count >= LeastPresence * pixels.Frames).OrderByDescending(t => t._blobs.Average(b => b.Area))];
    }

    private static double Cost(Blob one, Blob other, double halfSide)
    {
        double place = Distance(one.X - other.X, one.Y - other.Y) / halfSide, colour = Distance(one.A - other.A, one.B - other.B);
        return place + (3 * colour);
    }

    private static double Distance(double x, double y) => Math.Sqrt((x * x) + (y * y));
}
