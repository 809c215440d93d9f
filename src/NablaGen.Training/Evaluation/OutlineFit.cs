using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>
/// A shape laid over an object of one frame where it fits best, and how much of it then does not: pixels inside that are not the object's, and the
/// object's pixels outside, over the shape's area. What is near the outline does not count: edges are soft.
/// </summary>
internal sealed class OutlineFit
{
    // What an edge may be off: in pixels, and in radii.
    private const double EdgePixels = 1.6, EdgePart = 0.07;

    // Half way from the backdrops' vividness to the objects': fainter, it is noise or a backdrop.
    private const float Vivid = 0.5f;

    // Beyond this, in radii, a vivid pixel is no part of this object: ClipScorer counts it as a ghost.
    private const double Window = 1.6;

    private readonly ShapeTemplate _template;
    private readonly double _sin, _cos, _stretch;

    private OutlineFit(ShapeTemplate template, double x, double y, double radius, double angle, double aspect)
    {
        (_template, X, Y, Radius, Angle, Aspect) = (template, x, y, radius, angle, aspect);
        (_sin, _cos) = Math.SinCos(angle);
        _stretch = Math.Sqrt(aspect);
    }

    /// <summary>Where the shape's origin is, in pixels from the left.</summary>
    public double X { get; }

    /// <summary>The same from the top.</summary>
    public double Y { get; }

    /// <summary>Its radius in pixels.</summary>
    public double Radius { get; }

    /// <summary>Its angle, in radians clockwise.</summary>
    public double Angle { get; }

    /// <summary>Its width over its height, as the shape itself has it.</summary>
    public double Aspect { get; }

    /// <summary>The part of the shape's area that is wrong: 0 for an object as the world draws it.</summary>
    public double Misfit { get; private init; }

    private double Edge => Math.Max(EdgePixels, EdgePart * Radius);

    /// <summary>Lays a shape over an object.</summary>
    public static OutlineFit Of(ClipPixels pixels, Blob blob, ShapeKind shape, RadialProfile profile)
    {
        var template = ShapeTemplate.Of(shape);
        double radius = Math.Sqrt(blob.Area / template.Area);
        // A ring turns about its upright axis: it is as narrow as its pixels spread.
        double aspect = shape == ShapeKind.Ring ? Math.Clamp(blob.SpreadX / Math.Max(1e-6, blob.SpreadY), 0.3, 1.2) : 1;
        double angle = shape == ShapeKind.Ring ? 0 : profile.AngleOf(shape);
        var (sin, cos) = Math.SinCos(angle);
        double down = template.MiddleY * radius;
        var best = new OutlineFit(template, blob.X + (sin * down), blob.Y - (cos * down), radius, angle, aspect);
        double error = best.Error(pixels, blob.Frame, 0);
        for (double step = 0.06; step > 0.008; step /= 2)
        {
            for (bool better = true; better;)
            {
                better = false;
                foreach (var other in best.Neighbours(step))
                {
                    double otherError = other.Error(pixels, blob.Frame, 0);
                    if (otherError < error - 1e-4)
                    {
                        (best, error, better) = (other, otherError, true);
                    }
                }
            }
        }

        return new OutlineFit(template, best.X, best.Y, best.Radius, best.Angle, best.Aspect) { Misfit = best.Error(pixels, blob.Frame, best.Edge) };
    }

    /// <summary>Whether a pixel is outside the outline, its soft edge left out.</summary>
    public bool IsOutside(double x, double y) => Distance(x, y) > Edge + 1;

    // In pixels, negative inside.
    private double Distance(double x, double y)
    {
        double px = (x - X) / Radius, py = (y - Y) / Radius;
        return _template.Distance(((_cos * px) + (_sin * py)) / _stretch, ((_cos * py) - (_sin * px)) * _stretch) * Radius;
    }

    // Over the shape's area; what is nearer to the outline than the edge does not count.
    private double Error(ClipPixels pixels, int frame, double edge)
    {
        var weights = pixels.Weights(frame);
        double reach = Window * Radius * Math.Max(_stretch, 1 / _stretch);
        // Every second pixel of a large object is enough.
        int step = Radius > 24 ? 2 : 1;
        int left = Math.Max(0, (int)(X - reach)), right = Math.Min(pixels.Width - 1, (int)(X + reach));
        int top = Math.Max(0, (int)(Y - reach)), bottom = Math.Min(pixels.Height - 1, (int)(Y + reach));
        double wrong = 0;
        // How much nearer to the outline the next pixel of a row can be.
        double approach = _template.Slope * Math.Max(_stretch, 1 / _stretch) * step;
        for (int row = top; row <= bottom; row += step)
        {
            for (int column = left; column <= right;)
            {
                double distance = Distance(column, row);
                // Those that cannot be at the outline yet are inside or outside as this one is.
                int alike = edge == 0 ? Math.Max(1, (int)((Math.Abs(distance) - 0.5) / approach)) : 1;
                for (; alike > 0 && column <= right; alike--, column += step)
                {
                    double weight = weights[(row * pixels.Width) + column];
                    wrong += edge == 0 ? Math.Abs(weight - Math.Clamp(0.5 - distance, 0, 1))
                        : distance < -edge ? (weight < Vivid ? 1 : 0)
                        : distance > edge && weight >= Vivid ? 1 : 0;
                }
            }
        }

        return wrong * step * step / (_template.Area * Radius * Radius);
    }

    private IEnumerable<OutlineFit> Neighbours(double step)
    {
        double way = step * Radius;
        yield return With(X + way, Y, Radius, Angle, Aspect);
        yield return With(X - way, Y, Radius, Angle, Aspect);
        yield return With(X, Y + way, Radius, Angle, Aspect);
        yield return With(X, Y - way, Radius, Angle, Aspect);
        yield return With(X, Y, Radius * (1 + step), Angle, Aspect);
        yield return With(X, Y, Radius / (1 + step), Angle, Aspect);
        yield return With(X, Y, Radius, Angle + step, Aspect);
        yield return With(X, Y, Radius, Angle - step, Aspect);
        yield return With(X, Y, Radius, Angle, Aspect * (1 + step));
        yield return With(X, Y, Radius, Angle, Aspect / (1 + step));
    }

    private OutlineFit With(double x, double y, double radius, double angle, double aspect) => new(_template, x, y, radius, angle, aspect);
}
