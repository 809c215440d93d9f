using System.Globalization;
using NablaGen.Training.Runs;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace NablaGen.Training.Evaluation.Results;

/// <summary>
/// Quality against density as a picture, <c>quality-against-density.png</c>: above, the part of the videos that is right (seen filled,
/// held-out hollow); below, PSNR to the dense videos. A family of expressions has a colour, and NABLA's thresholds are joined by a line.
/// </summary>
public static class QualityPlot
{
    /// <summary>The file's name.</summary>
    public const string FileName = "quality-against-density.png";

    private const int Width = 960, Height = 760, Nabla = 1;
    private const float MarkerSize = 10, NameSize = 11;

    private static readonly (string Name, Color Colour)[] Families =
    [
        ("dense", new Color(40, 40, 40)), ("NABLA", new Color(30, 90, 170)), ("STA", new Color(200, 95, 20)), ("NABLA and STA", new Color(60, 140, 60)),
        ("NABLA by a file of thresholds", new Color(140, 60, 160)),
    ];

    /// <summary>Writes the PNG. Returns what is in the way where plots cannot be drawn.</summary>
    /// <exception cref="NablaGenException">It cannot be written.</exception>
    public static string? Save(string path, EvaluationReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        return PlotPicture.Save(path, Width, Height, () => [Success(report), Psnr(report)]);
    }

    private static Plot Success(EvaluationReport report)
    {
        var plot = Panel("right in everything asked for", 0, 1, value => string.Create(CultureInfo.InvariantCulture, $"{100 * value:0}%"));
        plot.Title($"{report.Recipe.Model}: quality against density", 16);
        Points(plot, report, one => one.HeldOut.Success, hollow: true);
        Points(plot, report, one => one.Seen.Success, hollow: false);
        foreach (int family in report.Expressions.Select(Family).Distinct().Order())
        {
            plot.Legend.ManualItems.Add(new LegendItem
            {
                LabelText = Families[family].Name,
                MarkerShape = MarkerShape.FilledCircle,
                MarkerSize = MarkerSize,
                MarkerColor = Families[family].Colour,
            });
        }

        plot.Legend.ManualItems.Add(new LegendItem
        {
            LabelText = "hollow: held-out combinations",
            MarkerShape = MarkerShape.OpenCircle,
            MarkerSize = MarkerSize,
            MarkerLineColor = Families[0].Colour,
            MarkerLineWidth = 1,
        });
        (plot.Legend.ShadowColor, plot.Legend.OutlineColor) = (Colors.Transparent, PlotPicture.Grid);
        plot.ShowLegend(Alignment.LowerRight, Orientation.Vertical);
        return plot;
    }

    private static Plot Psnr(EvaluationReport report)
    {
        double[] decibels = [.. report.Expressions.Select(one => one.Psnr ?? double.NaN).Where(double.IsFinite)];
        double low = decibels.Length == 0 ? 0 : Math.Floor((decibels.Min() - 1) / 5) * 5, high = decibels.Length == 0 ? 40 : Math.Ceiling((decibels.Max() + 1) / 5) * 5;
        var plot = Panel("PSNR to the dense video (dB)", low, high, value => value.ToString("0.#", CultureInfo.InvariantCulture));
        plot.XLabel("density of the attention", 14);
        Points(plot, report, one => one.Psnr is { } value && double.IsFinite(value) ? value : null, hollow: false);
        return plot;
    }

    private static Plot Panel(string title, double low, double high, Func<double, string> text)
    {
        var plot = new Plot();
        plot.YLabel(title, 12);
        plot.Axes.Left.TickGenerator = new NumericAutomatic { LabelFormatter = value => value < low - 1e-9 || value > high + 1e-9 ? "" : text(value) };
        plot.Axes.Bottom.TickGenerator = new NumericManual(
            [.. Enumerable.Range(0, 11).Select(i => i / 10.0)], [.. Enumerable.Range(0, 11).Select(i => (i / 10.0).ToString("0.0", CultureInfo.InvariantCulture))]);
        // Room for markers at the edges, and above for their names.
        double margin = (high - low) * 0.06;
        plot.Axes.SetLimits(-0.03, 1.05, low - margin, high + 2 * margin);
        // The same for both, so that a density is at one place.
        plot.Layout.Fixed(new PixelPadding(left: 70, right: 30, bottom: 45, top: 40));
        return plot;
    }

    private static void Points(Plot plot, EvaluationReport report, Func<ExpressionResult, double?> value, bool hollow)
    {
        var points = report.Expressions.Where(one => value(one) is not null)
            .Select(one => (one.Attention, Family: Family(one), At: new Coordinates(one.Density, value(one)!.Value))).ToList();
        Coordinates[] thresholds = [.. points.Where(point => point.Family == Nabla).Select(point => point.At).OrderBy(at => at.X)];
        if (thresholds.Length > 1)
        {
            plot.Add.ScatterLine(thresholds, Families[Nabla].Colour.WithAlpha(hollow ? (byte)90 : (byte)200)).LineWidth = 1.5f;
        }

        foreach (var (attention, family, at) in points)
        {
            plot.Add.Marker(at, hollow ? MarkerShape.OpenCircle : MarkerShape.FilledCircle, MarkerSize, Families[family].Colour);
            if (hollow)
            {
                continue;
            }

            var name = plot.Add.Text(family == Nabla ? attention["nabla-".Length..] : Path.GetFileName(attention), at);
            name.LabelFontSize = NameSize;
            // NABLA's thresholds above their points, the few others below; near the right edge to the left.
            bool isAtTheEdge = at.X > 0.93, isAbove = family == Nabla;
            name.LabelAlignment = (isAbove, isAtTheEdge) switch
            {
                (true, false) => Alignment.LowerLeft,
                (true, true) => Alignment.LowerRight,
                (false, false) => Alignment.UpperLeft,
                (false, true) => Alignment.UpperRight,
            };
            (name.OffsetX, name.OffsetY) = (isAtTheEdge ? -6 : 6, isAbove ? -4 : 4);
        }
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
}
