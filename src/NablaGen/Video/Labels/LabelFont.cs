using SkiaSharp;

namespace NablaGen.Video.Labels;

/// <summary>
/// The font of everything we draw on frames. It is in the program (DejaVu Sans, Latin letters only): many servers have no fonts, and
/// labels are to look alike everywhere.
/// </summary>
internal static class LabelFont
{
    private static readonly Lazy<SKTypeface> Typeface = new(() =>
    {
        using var stream = typeof(LabelFont).Assembly.GetManifestResourceStream("Labels.ttf")!;
        return SKTypeface.FromStream(stream);
    });

    /// <summary>The font at a size in pixels; the caller's.</summary>
    public static SKFont At(float size) => new(Typeface.Value, size) { Subpixel = true, Edging = SKFontEdging.Antialias };

    /// <summary>A text's width in pixels, rounded up.</summary>
    public static int Width(string text, float size)
    {
        using var font = At(size);
        return (int)Math.Ceiling(font.MeasureText(text));
    }
}
