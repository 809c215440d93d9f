using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>
/// Which shape an object is, from the third of its frames in which it is largest: a ring if its middle is mostly empty, else the
/// shape whose radial profile differs least over all of them, at any angle.
/// </summary>
internal static class ShapeMeter
{
    private const double Hole = 0.5;

    // Beyond this it is like none of them.
    private const double MostUnlike = 0.16;

    private static readonly ShapeKind[] Solid = [.. Enum.GetValues<ShapeKind>().Where(s => s != ShapeKind.Ring)];

    /// <summary>The shape; null if it is like none.</summary>
    public static ShapeKind? Measure(IReadOnlyList<Blob> blobs, IReadOnlyList<RadialProfile> profiles)
    {
        int[] largest = [.. Enumerable.Range(0, blobs.Count).OrderByDescending(i => blobs[i].Area).Take(Math.Max(3, blobs.Count / 3))];
        if (largest.Average(i => profiles[i].Filled) < Hole)
        {
            return ShapeKind.Ring;
        }

        var unlike = Solid.Select(shape => (shape, largest.Average(i => profiles[i].Unlike(shape)))).MinBy(s => s.Item2);
        return unlike.Item2 <= MostUnlike ? unlike.shape : null;
    }
}
