using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>What an object does, from its middle, size and angle over the clip. The first rule that fits counts.</summary>
/// <remarks>
/// Lengths in half sides; begin and end are means of two frames.
/// <list type="number">
/// <item>Circle: around the mean of its places it goes at least 250°, at a mean distance of at least 0.08, never nearer than 0.4 of it.</item>
/// <item>Bounce: up and down at least 0.25, turning at least twice, and across at most 0.6 of that.</item>
/// <item>Right, left, rise, fall: from begin to end at least 0.3 that way, and 1.5 times as much as the other way.</item>
/// <item>Grow, shrink: its spread (a ring: its height) changes by a factor of at least 1.35.</item>
/// <item>Spin: see <see cref="SpinMeter"/>.</item>
/// <item>Still: it moves by less than 0.2 and its size changes by less than 1.25.</item>
/// </list>
/// The camera's drift (at most 0.1, zoom at most 6%) is below all of them. Needs at least 13 frames for the fast motions.
/// </remarks>
internal static class MotionMeter
{
    /// <summary>The motion; null if no rule fits.</summary>
    public static MotionKind? Measure(ClipPixels pixels, ShapeKind? shape, IReadOnlyList<Blob> blobs, Func<bool> spins)
    {
        double[] x = [.. blobs.Select(b => b.X / pixels.HalfSide)], y = [.. blobs.Select(b => b.Y / pixels.HalfSide)];
        double[] size = [.. blobs.Select(b => b.Spread(shape))];
        if (blobs.Count < 4)
        {
            return null;
        }

        double rangeX = x.Max() - x.Min(), rangeY = y.Max() - y.Min();
        if (Circles(x, y))
        {
            return MotionKind.Circle;
        }

        if (rangeY >= 0.25 && rangeX <= 0.6 * rangeY && Reversals(y, 0.3 * rangeY) >= 2)
        {
            return MotionKind.Bounce;
        }

        double across = Change(x), down = Change(y), growth = (size[^1] + size[^2]) / (size[0] + size[1]);
        if (Math.Max(Math.Abs(across), Math.Abs(down)) >= 0.3)
        {
            return Math.Abs(across) >= 1.5 * Math.Abs(down) ? across > 0 ? MotionKind.Right : MotionKind.Left
                : Math.Abs(down) >= 1.5 * Math.Abs(across) ? down > 0 ? MotionKind.Fall : MotionKind.Rise
                : null;
        }

        if (growth is >= 1.35 or <= 1 / 1.35)
        {
            return growth > 1 ? MotionKind.Grow : MotionKind.Shrink;
        }

        return spins() ? MotionKind.Spin
            : Math.Max(rangeX, rangeY) < 0.2 && growth is < 1.25 and > 1 / 1.25 ? MotionKind.Still
            : null;
    }

    private static double Change(double[] values) => (values[^1] + values[^2] - values[0] - values[1]) / 2;

    private static bool Circles(double[] x, double[] y)
    {
        double middleX = x.Average(), middleY = y.Average(), way = 0;
        double[] distance = [.. x.Zip(y, (px, py) => Math.Sqrt(((px - middleX) * (px - middleX)) + ((py - middleY) * (py - middleY))))];
        for (int t = 1; t < x.Length; t++)
        {
            double before = Math.Atan2(y[t - 1] - middleY, x[t - 1] - middleX), after = Math.Atan2(y[t] - middleY, x[t] - middleX);
            way += Math.IEEERemainder(after - before, 2 * Math.PI);
        }

        return Math.Abs(way) >= 250 * Math.PI / 180 && distance.Average() >= 0.08 && distance.Min() >= 0.4 * distance.Average();
    }

    // How often the way turns round, each time going on for at least that much.
    private static int Reversals(double[] values, double least)
    {
        int turns = 0, way = 0;
        double extreme = values[0];
        foreach (double value in values)
        {
            if (way == 0 ? Math.Abs(value - extreme) >= least : (extreme - value) * way >= least)
            {
                turns += way == 0 ? 0 : 1;
                way = value > extreme ? 1 : -1;
                extreme = value;
            }
            else if (way != 0 && (value - extreme) * way > 0)
            {
                extreme = value;
            }
        }

        return turns;
    }
}
