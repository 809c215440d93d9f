using NablaGen.Video;
using NablaGen.Video.Pictures;

namespace NablaGen.Jobs.Masks;

/// <summary>Single frames of a finished video, or the one of a picture.</summary>
internal static class FrameStills
{
    /// <summary>Reads frames.</summary>
    /// <param name="video">An .mp4, or a .png of one frame.</param>
    /// <param name="frames">Which, from 0, ascending.</param>
    /// <param name="take">Gets each frame's place in <paramref name="frames"/>, its width and height, and its bytes [height, width, 3], which are gone when it returns.</param>
    /// <param name="cancellation">Stops the reading.</param>
    /// <exception cref="NablaGenException">The video cannot be read, or has fewer frames.</exception>
    public static void Read(string video, IReadOnlyList<int> frames, FrameTaker take, CancellationToken cancellation = default)
    {
        if (Path.GetExtension(video).Equals(".png", StringComparison.OrdinalIgnoreCase))
        {
            var picture = PictureFile.Load(video);
            take(0, picture.Width, picture.Height, picture.Rgb24);
            return;
        }

        using var reader = VideoReader.Open(video, cancellation: cancellation);
        var frame = new byte[reader.FrameBytes];
        var next = 0;
        for (var t = 0; next < frames.Count; t++)
        {
            if (!reader.ReadFrame(frame))
            {
                throw new NablaGenException($"{video}: expected at least {frames[^1] + 1} frames, found {t}");
            }

            if (t == frames[next])
            {
                take(next++, reader.Info.Width, reader.Info.Height, frame);
            }
        }
    }
}

/// <summary>Takes a frame.</summary>
internal delegate void FrameTaker(int index, int width, int height, ReadOnlySpan<byte> rgb24);
