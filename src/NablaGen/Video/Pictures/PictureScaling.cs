using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;
using SixLabors.ImageSharp.Processing;

namespace NablaGen.Video.Pictures;

/// <summary>Brings pictures to another aspect or size.</summary>
public static class PictureScaling
{
    /// <summary>The largest part of an aspect around the centre.</summary>
    /// <param name="picture">The picture.</param>
    /// <param name="width">Width of the aspect.</param>
    /// <param name="height">Height of the aspect.</param>
    public static Picture Crop(Picture picture, int width, int height)
    {
        var isWide = (long)picture.Width * height > (long)width * picture.Height;
        var (w, h) = isWide
            ? (Side(picture.Height, width, height), picture.Height)
            : (picture.Width, Side(picture.Width, height, width));
        return (w, h) == (picture.Width, picture.Height) ? picture : Changed(picture, image => image.Crop(new Rectangle((picture.Width - w) / 2, (picture.Height - h) / 2, w, h)));
    }

    /// <summary>The whole picture between black bars, in an aspect.</summary>
    /// <inheritdoc cref="Crop"/>
    public static Picture Pad(Picture picture, int width, int height)
    {
        var isWide = (long)picture.Width * height > (long)width * picture.Height;
        var (w, h) = isWide
            ? (picture.Width, Side(picture.Width, height, width))
            : (Side(picture.Height, width, height), picture.Height);
        return (w, h) == (picture.Width, picture.Height) ? picture
            : (long)w * h <= PictureFile.MaxPixels ? Changed(picture, image => image.Pad(w, h, Color.Black))
            // A long and thin one: between its bars it would be larger than any picture.
            : Changed(isWide ? Resize(picture, width, Side(width, picture.Height, picture.Width)) : Resize(picture, Side(height, picture.Width, picture.Height), height),
                image => image.Pad(width, height, Color.Black));
    }

    /// <summary>The picture in another size, averaged (Lanczos, three lobes).</summary>
    /// <param name="picture">The picture.</param>
    /// <param name="width">Its new width.</param>
    /// <param name="height">Its new height.</param>
    public static Picture Resize(Picture picture, int width, int height) => (width, height) == (picture.Width, picture.Height)
        ? picture
        : Changed(picture, image => image.Resize(width, height, KnownResamplers.Lanczos3));

    /// <summary>The picture scaled until it covers a size, and what stands over on each side cut off.</summary>
    /// <inheritdoc cref="Resize"/>
    public static Picture Cover(Picture picture, int width, int height)
    {
        var scale = Math.Max((double)width / picture.Width, (double)height / picture.Height);
        var (w, h) = (Math.Max(width, (int)Math.Round(picture.Width * scale)), Math.Max(height, (int)Math.Round(picture.Height * scale)));
        if ((long)w * h > PictureFile.MaxPixels)
        {
            // A long and thin one: nearly all of it would be cut off again.
            return Resize(Crop(picture, width, height), width, height);
        }

        var large = Resize(picture, w, h);
        return (w, h) == (width, height) ? large : Changed(large, image => image.Crop(new Rectangle((w - width) / 2, (h - height) / 2, width, height)));
    }

    internal static Picture Picture(Image<Rgb24> image)
    {
        var rgb24 = new byte[image.Width * image.Height * 3];
        image.CopyPixelDataTo(rgb24);
        return new Picture(image.Width, image.Height, rgb24);
    }

    private static Picture Changed(Picture picture, Action<IImageProcessingContext> change)
    {
        using var image = Image.LoadPixelData<Rgb24>(picture.Rgb24, picture.Width, picture.Height);
        image.Mutate(change);
        return Picture(image);
    }

    private static int Side(int of, int numerator, int denominator) => Math.Max(1, (int)Math.Round((double)of * numerator / denominator));
}
