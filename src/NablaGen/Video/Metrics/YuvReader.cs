namespace NablaGen.Video.Metrics;

/// <summary>Reads a video's frames as yuv420p, which is how our MP4s store them: no conversion stands between the file and a metric.</summary>
/// <remarks>Not thread-safe.</remarks>
public sealed class YuvReader : IDisposable
{
    private readonly RawFrames _frames;

    private YuvReader(VideoInfo info, RawFrames frames)
    {
        Info = info;
        _frames = frames;
    }

    /// <summary>The video's size, rate and the rest.</summary>
    public VideoInfo Info { get; }

    /// <summary>Opens a video; one that is stored in another format is converted.</summary>
    /// <param name="path">The video, in any format that ffmpeg knows.</param>
    /// <param name="tools">The ffmpeg to use; <see cref="FfmpegTools.Find()"/> if null.</param>
    /// <param name="cancellation">Ends ffmpeg; the calls that follow throw <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="NablaGenException">There is no such file, no ffmpeg, or the file holds no video that it can read.</exception>
    public static YuvReader Open(string path, FfmpegTools? tools = null, CancellationToken cancellation = default)
    {
        tools ??= FfmpegTools.Find();
        var info = VideoProbe.Read(path, tools, cancellation);
        // Each frame once, whatever its time.
        return new YuvReader(info, new RawFrames(path, ["-vf", "setpts=N/FRAME_RATE/TB", "-pix_fmt", "yuv420p"], tools, cancellation));
    }

    /// <summary>A frame with room for one of this video's.</summary>
    public YuvFrame NewFrame() => new(Info.Width, Info.Height);

    /// <summary>Reads the next frame into one of <see cref="NewFrame"/>.</summary>
    /// <returns>False at the end of the video.</returns>
    /// <exception cref="NablaGenException">ffmpeg cannot decode the video.</exception>
    public bool ReadFrame(YuvFrame frame) => _frames.Read(frame.Bytes);

    /// <summary>Ends ffmpeg.</summary>
    public void Dispose() => _frames.Dispose();
}
