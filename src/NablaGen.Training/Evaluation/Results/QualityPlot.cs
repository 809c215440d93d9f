using System.Globalization;
using NablaGen.Files;
using NablaGen.Video.Labels;
using SkiaSharp;

namespace NablaGen.Training.Evaluation.Results;

/// <summary>
/// Quality against density as a picture, <c>quality-against-density.png</c>: above, the part of the videos that is right (seen filled,
/// held-out hollow); below, PSNR to the dense videos. A family of expressions has a colour, and NABLA's thresholds are joined by a line.
/// </summary>
public static class QualityPlot
{
    /// <summary>The file's name.</summary>
    public const string FileName = "quality-against-density.png";

    private const int Width = 960, Height = 760, Left = 70, Right = 30, Top = 70, Gap = 50, Bottom = 50, PanelHeight = (Height - Top - Gap - Bottom) / 2;
    private const float Radius = 5;

    private static readonly (string Name, SKColor Colour)[] Families =
    [
        ("dense", new SKColor(40, 40, 40)), ("NABLA", new SKColor(30, 90, 170)), ("STA", new SKColor(200, 95, 20)), ("NABLA and STA", new SKColor(60, 140, 60)),
        ("NABLA by a file of thresholds", new SKColor(140, 60, 160)),
    ];

    /// <summary>Writes the PNG. Returns what is in the way where pictures cannot be made.</summary>
    /// <exception cref="NablaGenException">It cannot be written.</exception>
    public static string? Save(string path, EvaluationReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        try
        {
            using var bitmap = new SKBitmap(Width, Height, SKColorType.Rgba8888, SKAlphaType.Opaque);
            using (var canvas = new SKCanvas(bitmap))
            {
                Draw(canvas, report);
            }

            using var png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
            OutputFile.Write(path, file => png.SaveTo(file));
            return null;
        }
        catch (Exception e) when (Runs.ClipSheet.IsNoSkia(e))
        {
            return e.GetBaseException().Message.Split('\n')[0];
        }
    }

    private static void Draw(SKCanvas canvas, EvaluationReport report)
    {
        using var font = LabelFont.At(14);
        using var small = LabelFont.At(11);
        using var ink = new SKPaint { Color = new SKColor(40, 40, 40), IsAntialias = true };
        canvas.Clear(SKColors.White);
        canvas.DrawText($"{report.Recipe.Model}: quality against density", Left, 28, SKTextAlign.Left, font, ink);
        Legend(canvas, report, small, ink);

        var success = new Panel(Top, 0, 1, 0.2, value => string.Create(CultureInfo.InvariantCulture, $"{100 * value:0}%"), "right in everything asked for");
        Axes(canvas, success, small, ink);
        Points(canvas, report, success, one => one.HeldOut.Success, hollow: true, small, ink);
        Points(canvas, report, success, one => one.Seen.Success, hollow: false, small, ink);

        double[] decibels = [.. report.Expressions.Select(one => one.Psnr ?? double.NaN).Where(double.IsFinite)];
        double low = decibels.Length == 0 ? 0 : Math.Floor((decibels.Min() - 1) / 5) * 5, high = decibels.Length == 0 ? 40 : Math.Ceiling((decibels.Max() + 1) / 5) * 5;
        var psnr = new Panel(Top + PanelHeight + Gap, low, high, 5 * Math.Ceiling((high - low) / 40), value => string.Create(CultureInfo.InvariantCulture, $"{value:0}"), "PSNR to the dense video (dB)");
        Axes(canvas, psnr, small, ink);
        Points(canvas, report, psnr, one => one.Psnr is { } value && double.IsFinite(value) ? value : null, hollow: false, small, ink);
        canvas.DrawText("density of the attention", Left + ((Width - Left - Right) / 2f), Height - 12, SKTextAlign.Center, font, ink);
    }

    private static void Legend(SKCanvas canvas, EvaluationReport report, SKFont font, SKPaint ink)
    {
        float x = Left + Radius;
        foreach (int family in report.Expressions.Select(Family).Distinct().Order())
        {
            Mark(canvas, new SKPoint(x, 46), Families[family].Colour, hollow: false);
            canvas.DrawText(Families[family].Name, x + 10, 50, SKTextAlign.Left, font, ink);
            x += 30 + font.MeasureText(Families[family].Name);
        }

        canvas.DrawText("above: filled seen, hollow held-out combinations", Width - Right, 50, SKTextAlign.Right, font, ink);
    }

    private static void Axes(SKCanvas canvas, Panel panel, SKFont font, SKPaint ink)
    {
        using var grid = new SKPaint { Color = new SKColor(225, 225, 225), StrokeWidth = 1 };
        for (double value = panel.Low; value <= panel.High + 1e-9; value += panel.Step)
        {
            float y = panel.Place(0, value).Y;
            canvas.DrawLine(Left, y, Width - Right, y, grid);
            canvas.DrawText(panel.Text(value), Left - 8, y + 4, SKTextAlign.Right, font, ink);
        }

        for (int tenth = 0; tenth <= 10; tenth++)
        {
            float x = panel.Place(tenth / 10.0, 0).X;
            canvas.DrawLine(x, panel.Top, x, panel.Top + PanelHeight, grid);
            canvas.DrawText((tenth / 10.0).ToString("0.0", CultureInfo.InvariantCulture), x, panel.Top + PanelHeight + 16, SKTextAlign.Center, font, ink);
        }

        canvas.DrawText(panel.Title, Left + 4, panel.Top - 6, SKTextAlign.Left, font, ink);
    }

    private static void Points(
        SKCanvas canvas, EvaluationReport report, Panel panel, Func<ExpressionResult, double?> value, bool hollow, SKFont font, SKPaint ink)
    {
        var points = report.Expressions.Where(one => value(one) is not null)
            .Select(one => (one.Attention, Family: Family(one), At: panel.Place(one.Density, value(one)!.Value))).ToList();
        using (var paint = new SKPaint { Color = Families[1].Colour.WithAlpha(hollow ? (byte)90 : (byte)200), StrokeWidth = 1.5f, IsStroke = true, IsAntialias = true })
        using (var path = new SKPath())
        {
            path.AddPoly([.. points.Where(point => point.Family == 1).Select(point => point.At).OrderBy(at => at.X)], close: false);
            canvas.DrawPath(path, paint);
        }

        foreach (var (attention, family, at) in points)
        {
            Mark(canvas, at, Families[family].Colour, hollow);
            if (!hollow)
            {
                string name = family == 1 ? attention["nabla-".Length..] : Path.GetFileName(attention);
                bool atTheEdge = at.X > Width - Right - 60;
                // NABLA's thresholds above their points, the few others below.
                canvas.DrawText(name, at.X + (atTheEdge ? -8 : 7), at.Y + (family == 1 ? -7 : 16), atTheEdge ? SKTextAlign.Right : SKTextAlign.Left, font, ink);
            }
        }
    }

    private static void Mark(SKCanvas canvas, SKPoint at, SKColor colour, bool hollow)
    {
        using var white = new SKPaint { Color = SKColors.White, IsAntialias = true };
        using var paint = new SKPaint { Color = colour, IsStroke = hollow, StrokeWidth = 1.5f, IsAntialias = true };
        canvas.DrawCircle(at, Radius, white);
        canvas.DrawCircle(at, Radius, paint);
    }

    private static int Family(ExpressionResult one)
    {
        var parts = one.Attention.Split("-", 2);
        return (parts[0], one.Attention.Contains("sta-", StringComparison.Ordinal)) switch
        {
            ("nabla", true) => 3,
            ("nabla", false) => double.TryParse(parts[1], CultureInfo.InvariantCulture, out _) ? 1 : 4,
            ("sta", _) => 2,
            _ => 0,
        };
    }

    private sealed record Panel(int Top, double Low, double High, double Step, Func<double, string> Text, string Title)
    {
        public SKPoint Place(double density, double value) => new(
            (float)(Left + (density * (Width - Left - Right))), (float)(Top + ((High - value) / (High - Low) * PanelHeight)));
    }
}
