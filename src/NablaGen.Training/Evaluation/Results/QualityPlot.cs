using System.Globalization;
using NablaGen.Training.Runs;
using NablaGen.Video.Labels;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace NablaGen.Training.Evaluation.Results;

/// <summary>
/// Quality against density as a picture, <c>quality-against-density.png</c>: above, the part of the videos that is right (seen filled,
/// held-out hollow); below, PSNR to the dense videos. Bars are 95% intervals, and the density has a logarithmic axis. A family of expressions has a colour, and NABLA's thresholds are joined by a line.
/// </summary>
public static class QualityPlot
{
    /// <summary>The file's name.</summary>
    public const string FileName = "quality-against-density.png";

    private const int Width = 960, Height = 860, Nabla = 1;
    private const float MarkerSize = 10, NameSize = 11;
    private const double LegendWidth = 285, LegendLine = 20;
    private const int LineDots = 24;

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
        var axes = new Panel(LowestDensity(report), 0, 1);
        var plot = axes.Plot("right in everything asked for", value => string.Create(CultureInfo.InvariantCulture, $"{100 * value:0}%"));
        plot.Title($"{report.Recipe.Model}: quality against density", 16);
        Points(plot, axes, report, one => one.HeldOut.Success, hollow: true, one => one.HeldOut.Interval);
        Points(plot, axes, report, one => one.Seen.Success, hollow: false, one => one.Seen.Interval);
        foreach (int family in report.Expressions.Select(Family).Distinct().Order())
        {
            plot.Legend.ManualItems.Add(new LegendItem
            {
                LabelText = family == 0 ? $"dense; filled: seen combinations, n {report.Expressions[0].Seen.Videos}" : Families[family].Name,
                MarkerShape = MarkerShape.FilledCircle,
                MarkerSize = MarkerSize,
                MarkerColor = Families[family].Colour,
            });
        }

        plot.Legend.ManualItems.Add(new LegendItem
        {
            LabelText = $"hollow: held-out combinations, n {report.Expressions[0].HeldOut.Videos}",
            MarkerShape = MarkerShape.OpenCircle,
            MarkerSize = MarkerSize,
            MarkerLineColor = Families[0].Colour,
            MarkerLineWidth = 1,
        });
        plot.Legend.ManualItems.Add(new LegendItem { LabelText = "bars: 95% intervals", LineColor = Families[0].Colour, LineWidth = 1 });
        (plot.Legend.ShadowColor, plot.Legend.OutlineColor) = (Colors.Transparent, PlotPicture.Grid);
        var (corner, legend) = FreeCorner(axes, report, plot.Legend.ManualItems.Count);
        plot.ShowLegend(corner, Orientation.Vertical);
        Names(plot, axes, report, legend, one => one.Seen.Success ?? one.HeldOut.Success, one => one.HeldOut.Success);
        return plot;
    }

    private static Plot Psnr(EvaluationReport report)
    {
        double[] decibels = [.. report.Expressions.Select(one => one.Psnr ?? double.NaN).Where(double.IsFinite)];
        double low = decibels.Length == 0 ? 0 : Math.Floor((decibels.Min() - 1) / 5) * 5, high = decibels.Length == 0 ? 40 : Math.Ceiling((decibels.Max() + 1) / 5) * 5;
        var axes = new Panel(LowestDensity(report), low, high);
        var plot = axes.Plot("PSNR to the dense video (dB)", value => value.ToString("0.#", CultureInfo.InvariantCulture));
        plot.XLabel("density of the attention (log)", 14);
        Points(plot, axes, report, one => one.Psnr is { } value && double.IsFinite(value) ? value : null, hollow: false);
        Names(plot, axes, report, null, one => one.Psnr is { } value && double.IsFinite(value) ? value : null);
        return plot;
    }

    // A little less than the least, on a mark of the axis.
    private static double LowestDensity(EvaluationReport report)
    {
        double least = report.Expressions.Min(one => one.Density);
        return Panel.Marks.LastOrDefault(mark => mark <= least * 0.97, Panel.Marks[0]);
    }

    private static void Points(Plot plot, Panel axes, EvaluationReport report, Func<ExpressionResult, double?> value, bool hollow, Func<ExpressionResult, SuccessInterval?>? interval = null)
    {
        var points = report.Expressions.Where(one => value(one) is not null)
            .Select(one => (One: one, Family: Family(one), At: Panel.At(one.Density, value(one)!.Value))).ToList();
        Coordinates[] thresholds = [.. points.Where(point => point.Family == Nabla).Select(point => point.At).OrderBy(at => at.X)];
        if (thresholds.Length > 1)
        {
            plot.Add.ScatterLine(thresholds, Families[Nabla].Colour.WithAlpha(hollow ? (byte)90 : (byte)200)).LineWidth = 1.5f;
        }

        foreach (var (one, family, at) in points)
        {
            if (interval?.Invoke(one) is { } range)
            {
                // Held-out ones a little to the right, so that both can be seen.
                double x = at.X + (hollow ? axes.Pixel * 3 : 0);
                plot.Add.Line(x, range.Low, x, range.High).Color = Families[family].Colour.WithAlpha(hollow ? (byte)70 : (byte)130);
            }

            plot.Add.Marker(at, hollow ? MarkerShape.OpenCircle : MarkerShape.FilledCircle, MarkerSize, Families[family].Colour);
        }
    }

    // Where the legend covers the fewest points.
    private static (Alignment Corner, LabelBox Box) FreeCorner(Panel axes, EvaluationReport report, int items)
    {
        double width = LegendWidth, height = (items * LegendLine) + LegendLine;
        double right = Panel.AreaWidth - width, bottom = Panel.AreaHeight - height;
        (Alignment Corner, LabelBox Box)[] corners =
        [
            (Alignment.LowerRight, new LabelBox(right, bottom, width, height)), (Alignment.UpperLeft, new LabelBox(0, 0, width, height)),
            (Alignment.LowerLeft, new LabelBox(0, bottom, width, height)), (Alignment.UpperRight, new LabelBox(right, 0, width, height)),
            (Alignment.LowerCenter, new LabelBox(right / 2, bottom, width, height)), (Alignment.UpperCenter, new LabelBox(right / 2, 0, width, height)),
        ];
        var points = report.Expressions.SelectMany(one => new[] { (one.Density, one.Seen.Success), (one.Density, one.HeldOut.Success) })
            .Where(point => point.Success is not null).Select(point => axes.PixelOf(point.Density, point.Success!.Value)).ToArray();
        return corners.MinBy(corner => points.Count(point => corner.Box.Meets(new LabelBox(point.X - MarkerSize, point.Y - MarkerSize, 2 * MarkerSize, 2 * MarkerSize))));
    }

    private static void Names(Plot plot, Panel axes, EvaluationReport report, LabelBox? legend, params Func<ExpressionResult, double?>[] values)
    {
        var placement = new LabelPlacement(Panel.AreaWidth, Panel.AreaHeight);
        if (legend is { } box)
        {
            placement.Occupy(box);
        }

        // The line that joins NABLA's thresholds is not to run through a name.
        var line = report.Expressions.Where(one => Family(one) == Nabla && values[0](one) is not null).OrderBy(one => one.Density)
            .Select(one => axes.PixelOf(one.Density, values[0](one)!.Value)).ToArray();
        foreach (var (from, to) in line.Zip(line.Skip(1)))
        {
            for (int i = 0; i <= LineDots; i++)
            {
                double part = i / (double)LineDots;
                placement.Occupy(new LabelBox(from.X + (part * (to.X - from.X)) - 1, from.Y + (part * (to.Y - from.Y)) - 1, 2, 2));
            }
        }

        foreach (var one in report.Expressions)
        {
            foreach (double value in values.Select(of => of(one)).OfType<double>())
            {
                var (x, y) = axes.PixelOf(one.Density, value);
                placement.Occupy(new LabelBox(x - (MarkerSize / 2), y - (MarkerSize / 2), MarkerSize, MarkerSize));
            }
        }

        foreach (var one in report.Expressions.Where(one => values[0](one) is not null))
        {
            string text = Family(one) == Nabla ? one.Attention["nabla-".Length..] : Path.GetFileName(one.Attention);
            var (x, y) = axes.PixelOf(one.Density, values[0](one)!.Value);
            if (placement.Place(x, y, LabelFont.Width(text, NameSize) + 2, NameSize + 3, MarkerSize / 2) is { } place)
            {
                var name = plot.Add.Text(text, axes.AtPixel(place.Left, place.Top));
                (name.LabelFontSize, name.LabelAlignment) = (NameSize, Alignment.UpperLeft);
            }
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

    /// <summary>One of the two plots: a density's logarithm to the right, a quality upwards.</summary>
    private sealed class Panel(double least, double low, double high)
    {
        private const int Left = 70, Right = 30, Bottom = 45, Top = 40;

        // Room for markers at the edges, and above for their names.
        private readonly double _from = Math.Log10(least) - 0.02, _to = 0.04, _low = low - ((high - low) * 0.06), _high = high + ((high - low) * 0.12);

        public static double[] Marks { get; } = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1];

        public static double AreaWidth => Width - Left - Right;

        public static double AreaHeight => (Height / 2) - Top - Bottom;

        /// <summary>A pixel to the right.</summary>
        public double Pixel => (_to - _from) / AreaWidth;

        public static Coordinates At(double density, double value) => new(Math.Log10(density), value);

        public (double X, double Y) PixelOf(double density, double value) =>
            ((Math.Log10(density) - _from) / (_to - _from) * AreaWidth, (_high - value) / (_high - _low) * AreaHeight);

        public Coordinates AtPixel(double x, double y) => new(_from + (x * Pixel), _high - (y / AreaHeight * (_high - _low)));

        public Plot Plot(string title, Func<double, string> text)
        {
            var plot = new Plot();
            plot.YLabel(title, 12);
            plot.Axes.Left.TickGenerator = new NumericAutomatic { LabelFormatter = value => value < low - 1e-9 || value > high + 1e-9 ? "" : text(value) };
            double[] marks = [.. Marks.Where(mark => Math.Log10(mark) >= _from)];
            plot.Axes.Bottom.TickGenerator = new NumericManual(
                [.. marks.Select(Math.Log10)], [.. marks.Select(mark => mark.ToString("0.##", CultureInfo.InvariantCulture))]);
            plot.Axes.SetLimits(_from, _to, _low, _high);
            // The same for both, so that a density is at one place.
            plot.Layout.Fixed(new PixelPadding(left: Left, right: Right, bottom: Bottom, top: Top));
            return plot;
        }
    }
}
