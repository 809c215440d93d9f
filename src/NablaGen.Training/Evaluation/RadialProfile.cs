using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>
/// How far an outline is from the middle, in 72 directions, over its mean: what shape it is, at any size and angle. Soft edges count in part,
/// so that blur changes little.
/// </summary>
internal sealed class RadialProfile
{
    /// <summary>How many directions.</summary>
    public const int Directions = 72;

    private const int Rays = 3;
    private const double Step = 2 * Math.PI / Directions;

    private static readonly Lazy<RadialProfile[]> Templates = new(() => [.. Enum.GetValues<ShapeKind>().Select(Of)]);

    private readonly double[] _radius;

    private RadialProfile(Func<double, double, double> weight, double reach, double step)
    {
        _radius = new double[Directions];
        for (int k = 0; k < Directions; k++)
        {
            double area = 0;
            // Several rays, so that a thin point is not missed.
            for (int ray = 0; ray < Rays; ray++)
            {
                var (sin, cos) = Math.SinCos((k + ((ray + 0.5) / Rays) - 0.5) * Step);
                for (double r = step / 2; r < reach; r += step)
                {
                    area += weight(r * cos, r * sin) * r * step / Rays;
                }
            }

            // The radius of a disc with this slice's area.
            _radius[k] = Math.Sqrt(2 * area);
        }

        MeanRadius = _radius.Average();
        double inner = 0;
        for (int k = 0; k < Directions; k += 6)
        {
            var (sin, cos) = Math.SinCos(k * Step);
            inner += (weight(0.12 * MeanRadius * cos, 0.12 * MeanRadius * sin) + weight(0.3 * MeanRadius * cos, 0.3 * MeanRadius * sin)) / 24;
        }

        Filled = inner;
        for (int k = 0; k < Directions; k++)
        {
            _radius[k] /= Math.Max(1e-9, MeanRadius);
        }
    }

    /// <summary>The mean radius, in the units of the picture.</summary>
    public double MeanRadius { get; }

    /// <summary>How much of the middle belongs to the object: 1, or 0 in a ring's hole.</summary>
    public double Filled { get; }

    /// <summary>How much the radius varies: 0 for a disc.</summary>
    public double Variation => Math.Sqrt(_radius.Average(r => (r - 1) * (r - 1)));

    /// <summary>A blob's profile, in pixels.</summary>
    public static RadialProfile Of(ClipPixels pixels, Blob blob)
    {
        double reach = 2.2 * Math.Sqrt(blob.Area / Math.PI);
        var weights = pixels.Weights(blob.Frame).ToArray();
        return new RadialProfile(
            (x, y) => blob.X + x < 0 || blob.Y + y < 0 || blob.X + x > pixels.Width - 1 || blob.Y + y > pixels.Height - 1
                ? 0
                : pixels.Between(weights, blob.X + x, blob.Y + y),
            reach, 0.5);
    }

    /// <summary>How unlike a shape it is: the least root mean square difference over all angles.</summary>
    public double Unlike(ShapeKind shape)
    {
        var other = Templates.Value[(int)shape]._radius;
        return Math.Sqrt(Enumerable.Range(0, Directions).Min(turn => Difference(other, turn)));
    }

    /// <summary>At which angle it is most like a shape. Radians, clockwise.</summary>
    public double AngleOf(ShapeKind shape)
    {
        var other = Templates.Value[(int)shape]._radius;
        return Enumerable.Range(0, Directions).MinBy(turn => Difference(other, turn)) * Step;
    }

    /// <summary>By what angle, clockwise and at most <paramref name="most"/> either way, this is another profile turned. Radians.</summary>
    public double TurnFrom(RadialProfile before, double most)
    {
        int bins = (int)Math.Ceiling(most / Step);
        int best = Enumerable.Range(-bins, (2 * bins) + 1).MinBy(turn => Difference(before._radius, turn));
        // Between the bins: the lowest point of the parabola through three.
        double left = Difference(before._radius, best - 1), here = Difference(before._radius, best), right = Difference(before._radius, best + 1);
        double bend = left - (2 * here) + right;
        return (best + (bend > 1e-12 ? Math.Clamp(0.5 * (left - right) / bend, -0.5, 0.5) : 0)) * Step;
    }

    // A shape as the world draws it, around the middle of its area.
    private static RadialProfile Of(ShapeKind shape)
    {
        var outline = ShapeOutline.Of(shape);
        double area = 0, x = 0, y = 0;
        for (double v = -1.6; v < 1.6; v += 0.02)
        {
            for (double u = -1.6; u < 1.6; u += 0.02)
            {
                if (outline.Distance(u, v) < 0)
                {
                    area++;
                    x += u;
                    y += v;
                }
            }
        }

        return new RadialProfile((u, v) => outline.Distance(u + (x / area), v + (y / area)) < 0 ? 1 : 0, 2, 0.01);
    }

    private double Difference(double[] other, int turn)
    {
        double sum = 0;
        for (int k = 0; k < Directions; k++)
        {
            double difference = _radius[k] - other[(k - turn + (2 * Directions)) % Directions];
            sum += difference * difference;
        }

        return sum / Directions;
    }
}
