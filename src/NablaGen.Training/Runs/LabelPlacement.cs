namespace NablaGen.Training.Runs;

/// <summary>Finds places for a plot's labels beside their points, so that none covers another or a point.</summary>
/// <param name="width">The plot's width in pixels; labels stay inside.</param>
/// <param name="height">Its height.</param>
public sealed class LabelPlacement(double width, double height)
{
    // Around a point, the nearest first; further away where all of these are taken.
    private static readonly (double X, double Y)[] Directions = [(1, -1), (1, 1), (-1, -1), (-1, 1), (0, -1), (0, 1), (1, 0), (-1, 0)];

    private const int MostRings = 8;

    private readonly List<LabelBox> _taken = [];

    /// <summary>Takes the place of a point, or of anything else that is not to be covered.</summary>
    public void Occupy(LabelBox box) => _taken.Add(box);

    /// <summary>Takes a place for a label.</summary>
    /// <param name="x">The point's place, from the left.</param>
    /// <param name="y">The point's place, from the top.</param>
    /// <param name="labelWidth">The label's width.</param>
    /// <param name="labelHeight">The label's height.</param>
    /// <param name="gap">How far from the point it begins.</param>
    /// <returns>Its box; null where everything around is taken.</returns>
    public LabelBox? Place(double x, double y, double labelWidth, double labelHeight, double gap)
    {
        for (int ring = 0; ring < MostRings; ring++)
        {
            foreach (var (dx, dy) in Directions)
            {
                double away = gap + (ring * labelHeight * 0.7);
                double left = dx > 0 ? x + gap : dx < 0 ? x - gap - labelWidth : x - (labelWidth / 2);
                double top = dy > 0 ? y + away : dy < 0 ? y - away - labelHeight : y - (labelHeight / 2);
                if (dy == 0 && ring > 0)
                {
                    continue;
                }

                var box = new LabelBox(left, top, labelWidth, labelHeight);
                if (left >= 0 && top >= 0 && left + labelWidth <= width && top + labelHeight <= height && !_taken.Any(box.Meets))
                {
                    _taken.Add(box);
                    return box;
                }
            }
        }

        return null;
    }
}

/// <summary>A box of pixels.</summary>
/// <param name="Left">Its left edge.</param>
/// <param name="Top">Its upper edge.</param>
/// <param name="Width">Its width.</param>
/// <param name="Height">Its height.</param>
public readonly record struct LabelBox(double Left, double Top, double Width, double Height)
{
    /// <summary>Whether two share a pixel.</summary>
    public bool Meets(LabelBox other) =>
        Left < other.Left + other.Width && other.Left < Left + Width && Top < other.Top + other.Height && other.Top < Top + Height;
}
