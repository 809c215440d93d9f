using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>
/// One object in one frame: connected pixels that belong to an object. Positions are in pixels, <see cref="Area"/> in pixels, soft
/// edges counted in part.
/// </summary>
internal sealed record Blob(int Frame, double X, double Y, double Area, double A, double B, double SpreadX, double SpreadY)
{
    // Specks below 1/500 of the frame are not objects.
    private const double LeastPart = 1 / 500.0;

    /// <summary>
    /// A measure of size that blur changes little: how far its pixels spread, root mean square of both ways. A ring's is its height: it may
    /// turn about its upright axis.
    /// </summary>
    public double Spread(ShapeKind? shape) =>
        shape == ShapeKind.Ring ? SpreadY : Math.Sqrt(((SpreadX * SpreadX) + (SpreadY * SpreadY)) / 2);

    /// <summary>The objects of a frame, largest first.</summary>
    public static List<Blob> Find(ClipPixels pixels, int frame)
    {
        var weights = pixels.Weights(frame);
        var seen = new bool[weights.Length];
        var blobs = new List<Blob>();
        var open = new Stack<int>();
        for (int start = 0; start < weights.Length; start++)
        {
            if (seen[start] || weights[start] < 0.5f)
            {
                continue;
            }

            seen[start] = true;
            open.Push(start);
            var members = new List<int>();
            while (open.TryPop(out int at))
            {
                members.Add(at);
                // An edge's faint pixels belong to the blob, but it does not spread over them.
                if (weights[at] < 0.5f)
                {
                    continue;
                }

                int column = at % pixels.Width, row = at / pixels.Width;
                for (int y = Math.Max(0, row - 1); y <= Math.Min(pixels.Height - 1, row + 1); y++)
                {
                    for (int x = Math.Max(0, column - 1); x <= Math.Min(pixels.Width - 1, column + 1); x++)
                    {
                        int next = (y * pixels.Width) + x;
                        if (!seen[next] && weights[next] > 0)
                        {
                            seen[next] = true;
                            open.Push(next);
                        }
                    }
                }
            }

            if (members.Count >= LeastPart * weights.Length)
            {
                blobs.Add(Of(pixels, frame, members));
            }
        }

        return [.. blobs.OrderByDescending(b => b.Area)];
    }

    private static Blob Of(ClipPixels pixels, int frame, List<int> members)
    {
        var weights = pixels.Weights(frame);
        var planeA = pixels.Plane(1, frame);
        var planeB = pixels.Plane(2, frame);
        double area = 0, x = 0, y = 0, xx = 0, yy = 0, core = 0, a = 0, b = 0;
        foreach (int i in members)
        {
            double w = weights[i], column = i % pixels.Width, row = i / pixels.Width;
            area += w;
            x += w * column;
            y += w * row;
            xx += w * column * column;
            yy += w * row * row;
            // Colour from where nothing of the backdrop shows through.
            if (w > 0.95)
            {
                core++;
                a += planeA[i];
                b += planeB[i];
            }
        }

        (x, y) = (x / area, y / area);
        return new Blob(
            frame, x, y, area, a / Math.Max(1, core), b / Math.Max(1, core),
            Math.Sqrt(Math.Max(0, (xx / area) - (x * x))), Math.Sqrt(Math.Max(0, (yy / area) - (y * y))));
    }
}
