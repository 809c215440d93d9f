using NablaGen.Files;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.Formats.Gif;
using SixLabors.ImageSharp.PixelFormats;

namespace NablaGen.Video;

/// <summary>Writes frames as an animated GIF that repeats for ever, with a palette for each frame.</summary>
public static class GifWriter
{
    private static readonly GifEncoder Encoder = new() { ColorTableMode = GifColorTableMode.Local };

    /// <summary>Writes the file beside its target, then renames it, over one that has the name.</summary>
    /// <param name="path">The GIF to write; its folder is made.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="fps">Frames a second; a GIF counts in hundredths of a second.</param>
    /// <param name="frames">At least one, of height × width × 3 bytes: rows from the top, pixels from the left, red, green, blue.</param>
    /// <exception cref="NablaGenException">The name does not end in .gif, or it cannot be written.</exception>
    public static void Save(string path, int width, int height, double fps, IReadOnlyList<byte[]> frames)
    {
        if (frames.Count == 0 || frames.Any(frame => frame.Length != width * height * 3))
        {
            throw new ArgumentException($"Expected frames of {width * height * 3} bytes, at least one.", nameof(frames));
        }

        var target = OutputFile.Prepare(path, ".gif");
        using var gif = Image.LoadPixelData<Rgb24>(frames[0], width, height);
        foreach (var frame in frames.Skip(1))
        {
            using var next = Image.LoadPixelData<Rgb24>(frame, width, height);
            gif.Frames.AddFrame(next.Frames.RootFrame);
        }

        // 0: for ever.
        gif.Metadata.GetGifMetadata().RepeatCount = 0;
        for (var t = 0; t < frames.Count; t++)
        {
            gif.Frames[t].Metadata.GetGifMetadata().FrameDelay = Math.Max(1, Hundredths(t + 1, fps) - Hundredths(t, fps));
        }

        OutputFile.Write(target, file => gif.Save(file, Encoder));
    }

    // Rounded from the start on, so that what is rounded off does not add up.
    private static int Hundredths(int frames, double fps) => (int)Math.Round(100 * frames / fps);
}
