using SixLabors.ImageSharp;
using SixLabors.ImageSharp.Advanced;
using SixLabors.ImageSharp.Formats.Jpeg;
using SixLabors.ImageSharp.PixelFormats;
using SixLabors.ImageSharp.Processing;
using SixLabors.ImageSharp.Processing.Processors.Transforms;

namespace NablaGen.Video.Labels;

/// <summary>A picture to put frames and labels on.</summary>
internal sealed class RgbImage : IDisposable
{
    private readonly Image<Rgb24> _image;

    /// <summary>A picture of one colour.</summary>
    public RgbImage(int width, int height, Rgb24 background) => _image = new Image<Rgb24>(width, height, background);

    private RgbImage(Image<Rgb24> image) => _image = image;

    public int Width => _image.Width;

    public int Height => _image.Height;

    /// <summary>A picture of RGB bytes. [height, width, 3]</summary>
    public static RgbImage Of(int width, int height, ReadOnlySpan<byte> rgb24) => new(Image.LoadPixelData<Rgb24>(rgb24, width, height));

    /// <summary>The picture as RGB bytes. [height, width, 3]</summary>
    public byte[] ToRgb24()
    {
        var rgb24 = new byte[Width * Height * 3];
        _image.CopyPixelDataTo(rgb24);
        return rgb24;
    }

    /// <summary>The picture as a JPEG.</summary>
    /// <param name="quality">1 to 100.</param>
    public byte[] ToJpeg(int quality)
    {
        using var jpeg = new MemoryStream();
        _image.Save(jpeg, new JpegEncoder { Quality = quality });
        return jpeg.ToArray();
    }

    /// <summary>Writes a line of text.</summary>
    /// <param name="text">Latin letters.</param>
    /// <param name="x">Its left edge.</param>
    /// <param name="baseline">The line it stands on.</param>
    /// <param name="size">The font's size in pixels.</param>
    /// <param name="colour">Its colour.</param>
    public void Text(string text, int x, int baseline, float size, Rgb24 colour)
    {
        var ink = LabelFont.Draw(text, size);
        for (var row = 0; row < ink.Height; row++)
        {
            for (var column = 0; column < ink.Width; column++)
            {
                var (left, top) = (x + column - ink.Left, baseline + row - ink.Baseline);
                var cover = ink.Cover[row * ink.Width + column];
                if (cover != 0 && left >= 0 && left < Width && top >= 0 && top < Height)
                {
                    _image[left, top] = Mix(_image[left, top], colour, cover);
                }
            }
        }
    }

    /// <summary>A copy of another size.</summary>
    public RgbImage Resized(int width, int height) => new(_image.Clone(context => context.Resize(width, height, new BicubicResampler())));

    /// <summary>Puts another picture on this one, scaled to a size; what reaches over the edge is left out.</summary>
    public void Place(RgbImage other, int x, int y, int width, int height)
    {
        using var scaled = other.Resized(width, height);
        var shown = Math.Min(width, Width - x);
        for (var row = 0; row < Math.Min(height, Height - y); row++)
        {
            var from = scaled._image.DangerousGetPixelRowMemory(row).Span[..shown];
            from.CopyTo(_image.DangerousGetPixelRowMemory(y + row).Span[x..]);
        }
    }

    public void Dispose() => _image.Dispose();

    private static Rgb24 Mix(Rgb24 under, Rgb24 over, byte cover)
    {
        byte One(byte a, byte b) => (byte)((a * (255 - cover) + b * cover + 127) / 255);
        return new Rgb24(One(under.R, over.R), One(under.G, over.G), One(under.B, over.B));
    }
}
