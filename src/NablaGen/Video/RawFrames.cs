namespace NablaGen.Video;

/// <summary>A video's frames as raw bytes, one at a time, in order, through a pipe from ffmpeg, which waits until each is read.</summary>
/// <remarks>Not thread-safe.</remarks>
internal sealed class RawFrames : IDisposable
{
    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(250);

    private readonly string _path;
    private readonly FfmpegProcess _ffmpeg;
    private readonly TimeSpan _limit;
    private readonly CancellationToken _cancellation;
    private int _slices;
    private volatile bool _isStalled;

    /// <summary>Starts ffmpeg on a video.</summary>
    /// <param name="path">The video.</param>
    /// <param name="format">What ffmpeg is to make of each frame: a filter or none, and a pixel format.</param>
    /// <param name="tools">The ffmpeg to use.</param>
    /// <param name="cancellation">Ends ffmpeg.</param>
    /// <exception cref="NablaGenException">ffmpeg cannot be run.</exception>
    public RawFrames(string path, IEnumerable<string> format, FfmpegTools tools, CancellationToken cancellation)
    {
        (_path, _limit, _cancellation) = (path, tools.StallLimit, cancellation);
        string[] arguments =
        [
            "-hide_banner", "-nostdin", "-loglevel", "error", "-xerror",
            "-i", "file:" + Path.GetFullPath(path), "-map", "0:v:0", .. format, "-f", "rawvideo", "pipe:1",
        ];
        _ffmpeg = FfmpegProcess.Start(tools.Ffmpeg, arguments, cancellation);
        _ffmpeg.Input.Dispose();
    }

    /// <summary>Reads a whole frame. False at the end of the video.</summary>
    /// <exception cref="NablaGenException">ffmpeg cannot decode the video, or gives no frame for very long.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public bool Read(Span<byte> frame)
    {
        _cancellation.ThrowIfCancellationRequested();
        int read;
        _slices = 0;
        using (var stall = new Timer(Count, null, Slice, Slice))
        {
            read = _ffmpeg.Output.ReadAtLeast(frame, frame.Length, throwOnEndOfStream: false);
        }

        if (read == frame.Length)
        {
            return true;
        }

        if (_isStalled)
        {
            throw new NablaGenException($"{_path}: ffmpeg has given no frame for {_limit.TotalSeconds:0} s and was ended");
        }

        return _ffmpeg.Wait(_limit) && read == 0 && _ffmpeg.ExitCode == 0
            ? false
            : throw new NablaGenException($"{_path}: ffmpeg cannot read it: {_ffmpeg.Reason}");
    }

    /// <summary>Ends ffmpeg.</summary>
    public void Dispose() => _ffmpeg.Dispose();

    // In slices, as FfmpegProcess counts its limits. Should ffmpeg stand still, its end ends the read.
    private void Count(object? state)
    {
        if (Interlocked.Increment(ref _slices) * Slice >= _limit)
        {
            _isStalled = true;
            _ffmpeg.Kill();
        }
    }
}
