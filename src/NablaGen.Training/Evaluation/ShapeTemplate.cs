using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>A shape as the world draws it, to lay over an object: how far each place is from its outline, in radii.</summary>
internal sealed class ShapeTemplate
{
    private const int Side = 193;
    private const double Extent = 1.6, Step = 2 * Extent / (Side - 1);

    private static readonly Lazy<ShapeTemplate[]> All = new(() => [.. Enum.GetValues<ShapeKind>().Select(shape => new ShapeTemplate(ShapeOutline.Of(shape)))]);

    private readonly float[] _distance = new float[Side * Side];

    private ShapeTemplate(ShapeOutline outline)
    {
        double points = 0, y = 0;
        for (int i = 0; i < _distance.Length; i++)
        {
            double u = ((i % Side) * Step) - Extent, v = ((i / Side) * Step) - Extent;
            _distance[i] = (float)outline.Distance(u, v);
            points += _distance[i] < 0 ? 1 : 0;
            y += _distance[i] < 0 ? v : 0;
        }

        (Area, MiddleY) = (points * Step * Step, y / points);
        // Between samples the steepest is between two of them, and outside both ways count.
        double across = 1, down = 1;
        for (int i = 0; i < _distance.Length - Side; i++)
        {
            across = i % Side == Side - 1 ? across : Math.Max(across, Math.Abs(_distance[i + 1] - _distance[i]) / Step);
            down = Math.Max(down, Math.Abs(_distance[i + Side] - _distance[i]) / Step);
        }

        Slope = Math.Sqrt((across * across) + (down * down));
    }

    /// <summary>How fast the distance can change, in radii a radius.</summary>
    public double Slope { get; }

    /// <summary>Its area, in squares of the radius.</summary>
    public double Area { get; }

    /// <summary>How far below its origin the middle of its area is, in radii; the shapes are even from left to right.</summary>
    public double MiddleY { get; }

    /// <summary>A shape's template.</summary>
    public static ShapeTemplate Of(ShapeKind shape) => All.Value[(int)shape];

    /// <summary>The signed distance to the outline, negative inside, in radii.</summary>
    public double Distance(double u, double v)
    {
        double x = Math.Clamp(u, -Extent, Extent - 1e-6), y = Math.Clamp(v, -Extent, Extent - 1e-6);
        double column = (x + Extent) / Step, row = (y + Extent) / Step;
        int at = ((int)row * Side) + (int)column;
        double across = column - (int)column, down = row - (int)row;
        double top = _distance[at] + ((_distance[at + 1] - _distance[at]) * across);
        double bottom = _distance[at + Side] + ((_distance[at + Side + 1] - _distance[at + Side]) * across);
        return top + ((bottom - top) * down) + Math.Abs(u - x) + Math.Abs(v - y);
    }
}
