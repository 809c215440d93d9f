using SkiaSharp;

namespace NablaGen.Video.Labels;

/// <summary>
/// The font of everything we draw on frames. It is in the program (DejaVu Sans, Latin letters only): many servers have no fonts, and
/// labels are to look alike everywhere. SkiaSharp, which TorchSharp brings along, draws the letters and nothing else.
/// </summary>
internal static class LabelFont
{
    private static readonly Lazy<SKTypeface> Typeface = new(() =>
    {
        using var stream = Open();
        return SKTypeface.FromStream(stream);
    });

    /// <summary>The font's file.</summary>
    public static Stream Open() => typeof(LabelFont).Assembly.GetManifestResourceStream("Labels.ttf")!;

    /// <summary>A text's width in pixels, rounded up.</summary>
    public static int Width(string text, float size)
    {
        using var font = At(size);
        return (int)Math.Ceiling(font.MeasureText(text));
    }

    /// <summary>A line of text as the part of each pixel that it covers.</summary>
    /// <param name="text">Latin letters.</param>
    /// <param name="size">The font's size in pixels.</param>
    public static Ink Draw(string text, float size)
    {
        // Letters may reach a little to the left and right of their own width.
        var margin = (int)Math.Ceiling(size / 4);
        var (above, below) = ((int)Math.Ceiling(size * 1.2f), (int)Math.Ceiling(size * 0.4f));
        using var bitmap = new SKBitmap(new SKImageInfo(Width(text, size) + 2 * margin, above + below, SKColorType.Alpha8, SKAlphaType.Premul));
        bitmap.Erase(SKColors.Transparent);
        using (var canvas = new SKCanvas(bitmap))
        using (var font = At(size))
        using (var paint = new SKPaint { Color = SKColors.White, IsAntialias = true })
        {
            canvas.DrawText(text, margin, above, SKTextAlign.Left, font, paint);
        }

        var cover = new byte[bitmap.Width * bitmap.Height];
        for (var row = 0; row < bitmap.Height; row++)
        {
            bitmap.GetPixelSpan().Slice(row * bitmap.RowBytes, bitmap.Width).CopyTo(cover.AsSpan(row * bitmap.Width));
        }

        return new Ink(bitmap.Width, bitmap.Height, margin, above, cover);
    }

    private static SKFont At(float size) => new(Typeface.Value, size) { Subpixel = true, Edging = SKFontEdging.Antialias };

    /// <summary>A drawn line of text.</summary>
    /// <param name="Width">Width in pixels.</param>
    /// <param name="Height">Height in pixels.</param>
    /// <param name="Left">Where the text begins, from the left.</param>
    /// <param name="Baseline">Where the letters stand, from the top.</param>
    /// <param name="Cover">[height, width], 0 to 255.</param>
    internal readonly record struct Ink(int Width, int Height, int Left, int Baseline, byte[] Cover);
}
