namespace NablaGen.Jobs.Calibration;

/// <summary>Density and loss of one head over NABLA's threshold: straight between the points that were measured.</summary>
public sealed class HeadCurve
{
    private readonly IReadOnlyList<CurvePoint> _points;

    /// <summary>A curve through points.</summary>
    /// <param name="points">By rising threshold; density does not fall.</param>
    public HeadCurve(IReadOnlyList<CurvePoint> points)
    {
        if (points.Count == 0 || points.Zip(points.Skip(1)).Any(pair => pair.First.Threshold >= pair.Second.Threshold || pair.First.Density > pair.Second.Density))
        {
            throw new ArgumentException("a curve needs points of rising threshold and density", nameof(points));
        }

        _points = points;
        Hull = LowerHull(points);
    }

    /// <summary>
    /// The points that a density may be best spent at: the lower convex hull of loss over density, from the least density to the least
    /// loss.
    /// </summary>
    public IReadOnlyList<CurvePoint> Hull { get; }

    /// <summary>The curve's point at a threshold; beyond its ends, its ends.</summary>
    public CurvePoint At(double threshold) => Between(threshold, point => point.Threshold);

    /// <summary>The curve's first point of a density; beyond its ends, its ends.</summary>
    public CurvePoint AtDensity(double density) => Between(density, point => point.Density);

    private CurvePoint Between(double value, Func<CurvePoint, double> of)
    {
        var next = 0;
        while (next < _points.Count - 1 && of(_points[next]) < value)
        {
            next++;
        }

        var (after, before) = (_points[next], _points[Math.Max(next - 1, 0)]);
        var width = of(after) - of(before);
        var share = width > 0 ? Math.Clamp((value - of(before)) / width, 0, 1) : 1;
        double Mix(double a, double b) => a + (b - a) * share;
        return new CurvePoint(Mix(before.Threshold, after.Threshold), Mix(before.Density, after.Density), Mix(before.Loss, after.Loss));
    }

    private static List<CurvePoint> LowerHull(IReadOnlyList<CurvePoint> points)
    {
        var hull = new List<CurvePoint>();
        foreach (var point in points.OrderBy(point => point.Density).ThenBy(point => point.Loss))
        {
            // More density that does not lose less is of no use.
            if (hull.Count > 0 && point.Loss >= hull[^1].Loss)
            {
                continue;
            }

            while (hull.Count > 1 && Slope(hull[^2], hull[^1]) >= Slope(hull[^2], point))
            {
                hull.RemoveAt(hull.Count - 1);
            }

            hull.Add(point);
        }

        return hull;
    }

    private static double Slope(CurvePoint a, CurvePoint b) => (b.Loss - a.Loss) / (b.Density - a.Density);
}

/// <summary>What a threshold does to one head.</summary>
/// <param name="Threshold">NABLA's threshold, above 0 and at most 1.</param>
/// <param name="Density">The share of block pairs that it keeps.</param>
/// <param name="Loss">The squared error that what it leaves out makes; losses of heads add up.</param>
public sealed record CurvePoint(double Threshold, double Density, double Loss);
