using SkiaSharp;

namespace NablaGen.Video.Labels;

/// <summary>A picture to draw on, between RGB bytes and Skia.</summary>
internal sealed class RgbImage : IDisposable
{
    private readonly SKCanvas _canvas;

    public RgbImage(int width, int height, SKColor background)
    {
        Bitmap = new SKBitmap(width, height, SKColorType.Rgba8888, SKAlphaType.Opaque);
        _canvas = new SKCanvas(Bitmap);
        _canvas.Clear(background);
    }

    public SKBitmap Bitmap { get; }

    public int Width => Bitmap.Width;

    public int Height => Bitmap.Height;

    /// <summary>A picture of RGB bytes. [height, width, 3]</summary>
    public static RgbImage Of(int width, int height, ReadOnlySpan<byte> rgb24)
    {
        var image = new RgbImage(width, height, SKColors.Black);
        var pixels = image.Bitmap.GetPixelSpan();
        for (int from = 0, to = 0; from < rgb24.Length; from += 3, to += 4)
        {
            rgb24.Slice(from, 3).CopyTo(pixels[to..]);
        }

        return image;
    }

    /// <summary>The picture as RGB bytes. [height, width, 3]</summary>
    public byte[] ToRgb24()
    {
        var pixels = Bitmap.GetPixelSpan();
        var rgb24 = new byte[Width * Height * 3];
        for (int from = 0, to = 0; to < rgb24.Length; from += 4, to += 3)
        {
            pixels.Slice(from, 3).CopyTo(rgb24.AsSpan(to));
        }

        return rgb24;
    }

    /// <summary>Writes a line of text.</summary>
    /// <param name="text">Latin letters.</param>
    /// <param name="x">Its left edge.</param>
    /// <param name="baseline">The line it stands on.</param>
    /// <param name="size">The font's size in pixels.</param>
    /// <param name="colour">Its colour.</param>
    public void Text(string text, int x, int baseline, float size, SKColor colour)
    {
        using var font = LabelFont.At(size);
        using var paint = new SKPaint { Color = colour, IsAntialias = true };
        _canvas.DrawText(text, x, baseline, SKTextAlign.Left, font, paint);
    }

    /// <summary>Puts another picture on this one, scaled to a size.</summary>
    public void Place(RgbImage other, int x, int y, int width, int height)
    {
        using var image = SKImage.FromBitmap(other.Bitmap);
        _canvas.DrawImage(image, SKRect.Create(x, y, width, height), new SKSamplingOptions(SKFilterMode.Linear, SKMipmapMode.Linear));
    }

    public void Dispose()
    {
        _canvas.Dispose();
        Bitmap.Dispose();
    }
}
