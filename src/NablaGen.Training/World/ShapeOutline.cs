namespace NablaGen.Training.World;

/// <summary>
/// The outlines as signed distances: negative inside, in radii, y down. Balls and rings by their formula, the rest as polygons with
/// rounded corners.
/// </summary>
internal sealed class ShapeOutline
{
    private readonly Func<double, double, double> _distance;

    private ShapeOutline(double bevel, Func<double, double, double> distance)
    {
        Bevel = bevel;
        _distance = distance;
    }

    /// <summary>How far from the edge the surface rises to its full height, in radii.</summary>
    public double Bevel { get; }

    /// <summary>The outline of a shape.</summary>
    public static ShapeOutline Of(ShapeKind shape) => shape switch
    {
        ShapeKind.Ball => new(1, (x, y) => Length(x, y) - 1),
        ShapeKind.Ring => new(0.27, (x, y) => Math.Abs(Length(x, y) - 0.77) - 0.27),
        ShapeKind.Square => new(0.5, Rounded(Regular(4, 0.70 * Math.Sqrt(2), 1, Math.PI / 4), 0.16)),
        ShapeKind.Triangle => new(0.5, Rounded(Regular(3, 1.04, 1, 0), 0.2)),
        ShapeKind.Star => new(0.5, Rounded(Regular(5, 1.13, 0.5, 0), 0.1)),
        ShapeKind.Heart => new(0.62, Rounded(Heart(), 0.07)),
        _ => throw new ArgumentOutOfRangeException(nameof(shape)),
    };

    /// <summary>The distance of a point to the outline.</summary>
    public double Distance(double x, double y) => _distance(x, y);

    private static double Length(double x, double y) => Math.Sqrt((x * x) + (y * y));

    private static Func<double, double, double> Rounded((double X, double Y)[] corners, double rounding) =>
        (x, y) => Polygon(corners, x, y) - rounding;

    // A corner up, then clockwise; with an inner radius below 1, a star.
    private static (double X, double Y)[] Regular(int corners, double radius, double inner, double turn)
    {
        int points = inner < 1 ? 2 * corners : corners;
        return [.. Enumerable.Range(0, points).Select(i =>
        {
            double angle = turn + (2 * Math.PI * i / points), r = inner < 1 && i % 2 == 1 ? radius * inner : radius;
            return (r * Math.Sin(angle), -r * Math.Cos(angle));
        })];
    }

    // Two discs side by side, and from each a straight line down to the tip that both share.
    private static (double X, double Y)[] Heart()
    {
        const double Across = 0.5, Down = -0.32, Radius = 0.52, Tip = 0.98;
        const int Points = 24;
        double cleft = -Math.Acos(-Across / Radius);
        double tangent = Math.Atan2(Tip - Down, -Across) - Math.Acos(Radius / Length(Across, Tip - Down));
        var right = Enumerable.Range(0, Points + 1).Select(i =>
        {
            var (sin, cos) = Math.SinCos(cleft + ((tangent - cleft) * i / Points));
            return (X: Across + (Radius * cos), Y: Down + (Radius * sin));
        }).ToArray();
        // The cleft itself once: an edge without length has no direction.
        return [.. right, (0, Tip), .. right.Skip(1).Reverse().Select(p => (-p.X, p.Y))];
    }

    private static double Polygon((double X, double Y)[] corners, double x, double y)
    {
        double nearest = double.MaxValue;
        bool inside = false;
        for (int i = 0, j = corners.Length - 1; i < corners.Length; j = i++)
        {
            var (ax, ay) = corners[j];
            var (bx, by) = corners[i];
            double ex = bx - ax, ey = by - ay, px = x - ax, py = y - ay;
            double along = Math.Clamp(((px * ex) + (py * ey)) / ((ex * ex) + (ey * ey)), 0, 1);
            nearest = Math.Min(nearest, Length(px - (ex * along), py - (ey * along)));
            if ((ay > y) != (by > y) && x < ax + (ex * (y - ay) / (by - ay)))
            {
                inside = !inside;
            }
        }

        return inside ? -nearest : nearest;
    }
}
