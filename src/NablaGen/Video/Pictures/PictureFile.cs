using NablaGen.Files;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.Formats.Bmp;
using SixLabors.ImageSharp.Formats.Jpeg;
using SixLabors.ImageSharp.Formats.Png;
using SixLabors.ImageSharp.Formats.Webp;
using SixLabors.ImageSharp.Memory;
using SixLabors.ImageSharp.Metadata.Profiles.Exif;
using SixLabors.ImageSharp.PixelFormats;
using SixLabors.ImageSharp.Processing;

namespace NablaGen.Video.Pictures;

/// <summary>
/// Reads pictures that may be anyone's (PNG, JPEG, WebP, BMP) and writes PNGs. A file is looked at before it is decoded: what is too large
/// for the limits here, or would be once it is unpacked, is refused in one line.
/// </summary>
public static class PictureFile
{
    /// <summary>The most pixels a picture may have: 8192 × 8192.</summary>
    public const long MaxPixels = 8192 * 8192;

    /// <summary>The most bytes a file may have: 256 MiB.</summary>
    public const long MaxFileBytes = 256 << 20;

    // A decoder's largest single buffer; a picture of MaxPixels takes 192 MiB.
    private const int MaxBufferMiB = 512;

    private static readonly Configuration Formats =
        new(new PngConfigurationModule(), new JpegConfigurationModule(), new WebpConfigurationModule(), new BmpConfigurationModule())
        {
            MemoryAllocator = MemoryAllocator.Create(
                new MemoryAllocatorOptions { AllocationLimitMegabytes = MaxBufferMiB, MaximumPoolSizeMegabytes = 16 }),
        };

    // Texts as they are (ours have some thousands of characters), and the pixels as three bytes.
    private static readonly PngEncoder Encoder =
        new() { ColorType = PngColorType.Rgb, BitDepth = PngBitDepth.Bit8, TextCompressionThreshold = int.MaxValue };

    /// <summary>Reads a picture's format and size, without its pixels.</summary>
    /// <exception cref="NablaGenException">There is no such file, or it is no picture that <see cref="Load"/> takes.</exception>
    public static PictureInfo Identify(string path) => Read(path, file => Identify(path, file));

    /// <summary>Reads a picture, turned the right way up as its EXIF data say; what is transparent shows a white ground.</summary>
    /// <exception cref="NablaGenException">There is no such file, it is no picture that can be read, or it is too large.</exception>
    public static Picture Load(string path) => Read(path, file =>
    {
        Identify(path, file);
        file.Position = 0;
        using var image = Image.Load<Rgba32>(Formats, file);
        image.Mutate(context => context.AutoOrient().BackgroundColor(Color.White));
        using var opaque = image.CloneAs<Rgb24>();
        return PictureScaling.Picture(opaque);
    });

    /// <summary>
    /// Reads a PNG's texts by keyword, in each of their forms (tEXt, zTXt, iTXt, compressed iTXt); of two with one keyword the last. Empty for
    /// a file that is no PNG. The size of the picture does not matter.
    /// </summary>
    /// <exception cref="NablaGenException">It cannot be read, is cut off or holds more text than any of ours.</exception>
    public static IReadOnlyDictionary<string, string> ReadTexts(string path) => Read(path, file =>
    {
        var texts = new Dictionary<string, string>();
        if (PngGuard.Check(path, file))
        {
            file.Position = 0;
            foreach (var text in Image.Identify(Formats, file)?.Metadata.GetPngMetadata().TextData ?? [])
            {
                texts[text.Keyword] = text.Value;
            }
        }

        return texts;
    });

    /// <summary>Writes an RGB picture as a PNG: beside the target first, then renamed, over a file that has the name.</summary>
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
            throw new ArgumentException($"A {width}x{height} picture has {width * height * 3} bytes, found {rgb24.Length}.", nameof(rgb24));
        }

        var target = OutputFile.Prepare(path, ".png");
        using var image = Image.LoadPixelData<Rgb24>(rgb24, width, height);
        var texts = image.Metadata.GetPngMetadata().TextData;
        foreach (var (keyword, value) in text ?? new Dictionary<string, string>())
        {
            if (keyword.Length is < 1 or > 79 || keyword.Any(c => c is < ' ' or > '~'))
            {
                throw new ArgumentException($"A PNG keyword has 1 to 79 printable ASCII characters, found \"{keyword}\".", nameof(text));
            }

            // With a translated keyword it becomes an iTXt even where Latin-1 would do: the one form that all versions of NablaGen read.
            texts.Add(new PngTextData(keyword, value.Replace('\0', '\ufffd'), "", keyword));
        }

        OutputFile.Write(target, file => image.Save(file, Encoder));
    }

    private static PictureInfo Identify(string path, Stream file)
    {
        PngGuard.Check(path, file);
        file.Position = 0;
        if (Image.Identify(Formats, file, out var format) is not { } info)
        {
            throw new NablaGenException($"{path}: not a picture that can be read: expected PNG, JPEG, WebP or BMP");
        }

        if ((long)info.Width * info.Height > MaxPixels)
        {
            throw new NablaGenException($"{path}: a picture of {info.Width}x{info.Height} is too large: expected at most {MaxPixels / 1_000_000} million pixels");
        }

        PictureEnd.Check(path, file);
        // 5 to 8 lie on their side.
        var lies = info.Metadata.ExifProfile?.GetValue(ExifTag.Orientation)?.Value is >= 5 and <= 8;
        return new PictureInfo(format.Name, lies ? info.Height : info.Width, lies ? info.Width : info.Height);
    }

    private static T Read<T>(string path, Func<FileStream, T> read)
    {
        try
        {
            using var file = File.OpenRead(path);
            return file.Length <= MaxFileBytes
                ? read(file)
                : throw new NablaGenException($"{path}: a picture's file has at most {MaxFileBytes >> 20} MiB, found {file.Length >> 20}");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new NablaGenException($"{path}: there is no such file", e);
        }
        catch (UnauthorizedAccessException e) when (Directory.Exists(path))
        {
            throw new NablaGenException($"{path}: a folder, not a picture", e);
        }
        catch (Exception e) when (e is (IOException or UnauthorizedAccessException) and not EndOfStreamException)
        {
            throw new NablaGenException($"{path}: cannot be read: {Line.Of(e.Message, 300)}", e);
        }
        catch (Exception e) when (e is not NablaGenException)
        {
            // A decoder meets a stranger's bytes: whatever it trips over, the file is to blame.
            throw new NablaGenException($"{path}: not a picture that can be read: {Line.Of(e.Message)}", e);
        }
    }
}
