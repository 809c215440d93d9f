using NablaGen.Files;
using SkiaSharp;

namespace NablaGen.Training.Runs;

/// <summary>The course of a loss as a picture: both axes logarithmic, with a smoothed line over the pale raw one.</summary>
public static class LossPlot
{
    private const int Width = 900;
    private const int Height = 500;
    private const int Left = 80;
    private const int Top = 40;
    private const int Right = 20;
    private const int Bottom = 40;

    /// <summary>Writes the PNG. Returns what is in the way where pictures cannot be made.</summary>
    /// <param name="path">The PNG.</param>
    /// <param name="title">What is shown.</param>
    /// <param name="course">Step and loss, by step.</param>
    public static string? Save(string path, string title, IReadOnlyList<(int Step, double Loss)> course)
    {
        var points = course.Where(point => point.Loss > 0).Select(point => (X: Math.Log10(Math.Max(1, point.Step)), Y: Math.Log10(point.Loss))).ToList();
        if (points.Count < 2)
        {
            return "fewer than two records";
        }

        try
        {
            using var bitmap = new SKBitmap(Width, Height, SKColorType.Rgba8888, SKAlphaType.Opaque);
            using (var canvas = new SKCanvas(bitmap))
            {
                Draw(canvas, title, points);
            }

            using var png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
            OutputFile.Write(path, file => png.SaveTo(file));
            return null;
        }
        catch (Exception e) when (ClipSheet.IsNoSkia(e))
        {
            return e.GetBaseException().Message.Split('\n')[0];
        }
    }

    private static void Draw(SKCanvas canvas, string title, List<(double X, double Y)> points)
    {
        var (x0, x1) = (points[0].X, Math.Max(points[^1].X, points[0].X + 1e-3));
        var sorted = points.Select(point => point.Y).Order().ToList();
        // The first few records would press the rest together.
        var (y0, y1) = (sorted[0], sorted[(int)(sorted.Count * 0.98)]);
        y1 = Math.Max(y1, y0 + 1e-3);
        SKPoint Place(double x, double y) => new(
            (float)(Left + (x - x0) / (x1 - x0) * (Width - Left - Right)), (float)(Top + (y1 - Math.Min(y, y1)) / (y1 - y0) * (Height - Top - Bottom)));

        canvas.Clear(SKColors.White);
        using var font = new SKFont(SKTypeface.Default, 14);
        using var ink = new SKPaint { Color = SKColors.Black, IsAntialias = true };
        using var grid = new SKPaint { Color = new SKColor(225, 225, 225), StrokeWidth = 1 };
        foreach (var value in Ticks(y0, y1))
        {
            var y = Place(x0, Math.Log10(value)).Y;
            canvas.DrawLine(Left, y, Width - Right, y, grid);
            canvas.DrawText($"{value:G3}", Left - 8, y + 5, SKTextAlign.Right, font, ink);
        }

        foreach (var value in Ticks(x0, x1))
        {
            var x = Place(Math.Log10(value), y0).X;
            canvas.DrawLine(x, Top, x, Height - Bottom, grid);
            canvas.DrawText($"{value:0}", x, Height - Bottom + 18, SKTextAlign.Center, font, ink);
        }

        canvas.DrawText($"{title}: loss by step", Left, Top - 14, SKTextAlign.Left, font, ink);
        Line(canvas, points.Select(point => Place(point.X, point.Y)), new SKColor(190, 210, 235), 1);
        Line(canvas, Smooth(points).Select(point => Place(point.X, point.Y)), new SKColor(30, 90, 170), 2);
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

    private static void Line(SKCanvas canvas, IEnumerable<SKPoint> points, SKColor color, float width)
    {
        using var line = new SKPath();
        line.AddPoly([.. points], close: false);
        using var paint = new SKPaint { Color = color, StrokeWidth = width, IsStroke = true, IsAntialias = true };
        canvas.DrawPath(line, paint);
    }
}
