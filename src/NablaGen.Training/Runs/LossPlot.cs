using System.Globalization;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace NablaGen.Training.Runs;

/// <summary>The course of a loss as a picture: both axes logarithmic, with a smoothed line over the pale raw one.</summary>
public static class LossPlot
{
    private const int Width = 900;
    private const int Height = 500;

    /// <summary>Writes the PNG. Returns what is in the way where plots cannot be drawn.</summary>
    /// <param name="path">The PNG.</param>
    /// <param name="title">What is shown.</param>
    /// <param name="course">Step and loss, by step.</param>
    /// <exception cref="NablaGenException">It cannot be written.</exception>
    public static string? Save(string path, string title, IReadOnlyList<(int Step, double Loss)> course)
    {
        var points = course.Where(point => point.Loss > 0).Select(point => (X: Math.Log10(Math.Max(1, point.Step)), Y: Math.Log10(point.Loss))).ToList();
        return points.Count < 2 ? "fewer than two records" : PlotPicture.Save(path, Width, Height, () => [Draw(title, points)]);
    }

    // ScottPlot has no logarithmic axes: the logarithms are drawn, and the ticks say what they are of.
    private static Plot Draw(string title, List<(double X, double Y)> points)
    {
        var (x0, x1) = (points[0].X, Math.Max(points[^1].X, points[0].X + 1e-3));
        var sorted = points.Select(point => point.Y).Order().ToList();
        // The first few records would press the rest together.
        var (y0, y1) = (sorted[0], sorted[(int)(sorted.Count * 0.98)]);
        y1 = Math.Max(y1, y0 + 1e-3);

        var plot = new Plot();
        Line(plot, points, new Color(190, 210, 235), 1);
        Line(plot, Smooth(points), new Color(30, 90, 170), 2);
        plot.Title($"{title}: loss by step", 16);
        plot.Axes.Bottom.TickGenerator = Ticks(x0, x1, "0");
        plot.Axes.Left.TickGenerator = Ticks(y0, y1, "G3");
        plot.Axes.SetLimits(x0, x1, y0, y1);
        return plot;
    }

    private static void Line(Plot plot, IEnumerable<(double X, double Y)> points, Color colour, float width)
    {
        var line = plot.Add.ScatterLine(points.Select(point => new Coordinates(point.X, point.Y)).ToArray(), colour);
        line.LineWidth = width;
    }

    private static NumericManual Ticks(double low, double high, string format)
    {
        var values = Ticks(low, high);
        return new NumericManual([.. values.Select(Math.Log10)], [.. values.Select(value => value.ToString(format, CultureInfo.InvariantCulture))]);
    }

    // 1, 2 and 5 times powers of ten where enough of them lie between two logarithms, otherwise four places evenly apart.
    private static double[] Ticks(double low, double high)
    {
        double[] round = [.. RoundNumbers(low, high)];
        return round.Length >= 3 ? round : [.. Enumerable.Range(0, 4).Select(i => Math.Pow(10, low + (high - low) * i / 3))];
    }

    private static IEnumerable<double> RoundNumbers(double low, double high)
    {
        for (var power = (int)Math.Floor(low); power <= Math.Ceiling(high); power++)
        {
            foreach (var factor in new[] { 1, 2, 5 })
            {
                var value = factor * Math.Pow(10, power);
                if (Math.Log10(value) >= low && Math.Log10(value) <= high)
                {
                    yield return value;
                }
            }
        }
    }

    private static IEnumerable<(double X, double Y)> Smooth(List<(double X, double Y)> points)
    {
        var mean = points[0].Y;
        foreach (var (x, y) in points)
        {
            mean += (y - mean) * 0.1;
            yield return (x, mean);
        }
    }
}
