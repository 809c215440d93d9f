namespace NablaGen.Video;

/// <summary>Reads a video's frames as RGB, one at a time, in order, through a pipe from ffmpeg.</summary>
/// <remarks>Not thread-safe.</remarks>
public sealed class VideoReader : IDisposable
{
    private readonly RawFrames _frames;

    private VideoReader(VideoInfo info, RawFrames frames)
    {
        Info = info;
        _frames = frames;
    }

    /// <summary>The video's size, rate and the rest.</summary>
    public VideoInfo Info { get; }

    /// <summary>Bytes of a frame: height × width × 3.</summary>
    public int FrameBytes => Info.Width * Info.Height * 3;

    /// <summary>Opens a video.</summary>
    /// <param name="path">The video, in any format that ffmpeg knows.</param>
    /// <param name="tools">The ffmpeg to use; <see cref="FfmpegTools.Find()"/> if null.</param>
    /// <param name="cancellation">Ends ffmpeg; the calls that follow throw <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="NablaGenException">There is no such file, no ffmpeg, or the file holds no video that it can read.</exception>
    public static VideoReader Open(string path, FfmpegTools? tools = null, CancellationToken cancellation = default)
    {
        tools ??= FfmpegTools.Find();
        var info = VideoProbe.Read(path, tools, cancellation);
        string[] format =
        [
            // Each frame once, whatever its time.
            "-vf", "setpts=N/FRAME_RATE/TB,scale=flags=bicubic+accurate_rnd+full_chroma_int", "-pix_fmt", "rgb24",
        ];
        return new VideoReader(info, new RawFrames(path, format, tools, cancellation));
    }

    /// <summary>Reads the next frame.</summary>
    /// <param name="rgb24"><see cref="FrameBytes"/> bytes: rows from the top, pixels from the left, red, green, blue.</param>
    /// <returns>False at the end of the video.</returns>
    /// <exception cref="NablaGenException">ffmpeg cannot decode the video.</exception>
    public bool ReadFrame(Span<byte> rgb24) => rgb24.Length == FrameBytes
        ? _frames.Read(rgb24)
        : throw new ArgumentException($"A frame has {FrameBytes} bytes here, found room for {rgb24.Length}.", nameof(rgb24));

    /// <summary>Ends ffmpeg.</summary>
    public void Dispose() => _frames.Dispose();
}
