using NablaGen.Files;
using NablaGen.Video.Labels;
using ScottPlot;
using SkiaSharp;

namespace NablaGen.Training.Runs;

/// <summary>Writes plots of ScottPlot's as PNGs, in the program's own font: many servers have none.</summary>
internal static class PlotPicture
{
    private const string FontName = "NablaGen labels";

    /// <summary>The grey of all lines that are there to guide the eye.</summary>
    public static Color Grid { get; } = new(225, 225, 225);

    /// <summary>Draws plots below one another and writes them. Returns what is in the way where plots cannot be drawn (SkiaSharp, on which ScottPlot draws, does not load here).</summary>
    /// <param name="path">The PNG.</param>
    /// <param name="width">Its width in pixels.</param>
    /// <param name="height">Its height in pixels.</param>
    /// <param name="draw">Makes the plots.</param>
    /// <exception cref="NablaGenException">It cannot be written.</exception>
    public static string? Save(string path, int width, int height, Func<IEnumerable<Plot>> draw)
    {
        try
        {
            // Before the first label is made, which takes it from there.
            Font.Use();
            var plots = new Multiplot();
            foreach (var plot in draw())
            {
                plot.Grid.MajorLineColor = Grid;
                plot.Axes.Left.MinorTickStyle.Length = 0;
                plots.Subplots.Add(plot);
            }

            // The empty one that it begins with.
            plots.Subplots.RemoveAt(0);
            using var image = plots.Render(width, height);
            var png = image.GetImageBytes(ImageFormat.Png, 100);
            OutputFile.Write(path, file => file.Write(png));
            return null;
        }
        catch (Exception e) when (e is DllNotFoundException or TypeInitializationException or BadImageFormatException)
        {
            return e.GetBaseException().Message.Split('\n')[0];
        }
    }

    private sealed class Font : IFontResolver
    {
        private static readonly Lazy<Font> Instance = new(() => new Font());
        private readonly SKTypeface _typeface;

        private Font()
        {
            using var file = LabelFont.Open();
            _typeface = SKTypeface.FromStream(file);
            Fonts.FontResolvers.Insert(0, this);
            Fonts.Default = FontName;
        }

        /// <summary>Makes it the font of every plot from here on.</summary>
        public static void Use() => _ = Instance.Value;

        public SKTypeface? CreateTypeface(string fontName, bool bold, bool italic) => fontName == FontName ? _typeface : null;

        public SKTypeface? CreateTypeface(string fontName, FontWeight weight, FontSlant slant, FontSpacing spacing) =>
            CreateTypeface(fontName, bold: false, italic: false);
    }
}
