using NablaGen.Video.Pictures;

namespace NablaGen.Video;

/// <summary>Single frames of a video as pictures.</summary>
public static class VideoFrames
{
    /// <summary>The last frame. Reads the video to its end.</summary>
    /// <param name="path">The video, in any format that ffmpeg knows.</param>
    /// <param name="cancellation">Ends ffmpeg.</param>
    /// <exception cref="NablaGenException">There is no such file, no ffmpeg, or the file holds no video that it can read.</exception>
    public static Picture Last(string path, CancellationToken cancellation = default)
    {
        using var reader = VideoReader.Open(path, cancellation: cancellation);
        if ((long)reader.Info.Width * reader.Info.Height > PictureFile.MaxPixels)
        {
            throw new NablaGenException(
                $"{path}: a video of {reader.Info.Width}x{reader.Info.Height} is too large: expected at most {PictureFile.MaxPixels / 1_000_000} million pixels");
        }

        var (frame, next) = (new byte[reader.FrameBytes], new byte[reader.FrameBytes]);
        var count = 0;
        while (reader.ReadFrame(next))
        {
            (frame, next) = (next, frame);
            count++;
        }

        return count > 0
            ? new Picture(reader.Info.Width, reader.Info.Height, frame)
            : throw new NablaGenException($"{path}: the file holds no frames");
    }
}
