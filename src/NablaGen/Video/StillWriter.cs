using NablaGen.Files;
using SkiaSharp;

namespace NablaGen.Video;

/// <summary>Writes one frame as a picture.</summary>
public static class StillWriter
{
    /// <summary>Writes an RGB frame as a PNG: beside the target first, then renamed, over a file that has the name.</summary>
    /// <param name="path">The PNG to write; its folder is made.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="rgb24">height × width × 3 bytes: rows from the top, pixels from the left, red, green, blue.</param>
    /// <param name="text">
    /// Text chunks (iTXt, UTF-8) by keyword, such as Title, Comment or Software: 1 to 79 printable ASCII characters each.
    /// </param>
    /// <exception cref="NablaGenException">The name does not end in .png, or it cannot be written.</exception>
    public static void SavePng(
        string path, int width, int height, ReadOnlySpan<byte> rgb24, IReadOnlyDictionary<string, string>? text = null)
    {
        if (width <= 0 || height <= 0 || rgb24.Length != width * height * 3)
        {
            throw new ArgumentException($"A {width}x{height} frame has {width * height * 3} bytes, found {rgb24.Length}.", nameof(rgb24));
        }

        var target = OutputFile.Prepare(path, ".png");
        using var bitmap = new SKBitmap(width, height, SKColorType.Rgba8888, SKAlphaType.Opaque);
        var pixels = bitmap.GetPixelSpan();
        for (int from = 0, to = 0; from < rgb24.Length; from += 3, to += 4)
        {
            rgb24.Slice(from, 3).CopyTo(pixels[to..]);
            pixels[to + 3] = 255;
        }

        using var png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        OutputFile.Write(target, file => PngText.Write(file, png.AsSpan(), text ?? new Dictionary<string, string>()));
    }
}
