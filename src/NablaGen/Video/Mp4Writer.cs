using NablaGen.Files;

namespace NablaGen.Video;

/// <summary>
/// Writes frames to an H.264 MP4, one at a time, through a pipe to ffmpeg: yuv420p, BT.709, index first (faststart).
/// </summary>
/// <remarks>
/// The file is written beside its target as <c>NAME.mp4.xxxxxxxx.partial</c> and gets its name in <see cref="Complete"/>, over a file that
/// has it. <see cref="Dispose"/> without <see cref="Complete"/>, and cancellation, end ffmpeg and leave nothing behind. Not thread-safe.
/// </remarks>
public sealed class Mp4Writer : IDisposable
{
    // Tags that FFmpeg's MP4 muxer writes and players show; it drops any other without a word.
    private static readonly string[] KnownTags = ["title", "comment", "artist", "date", "genre", "copyright", "description"];

    // Ctrl-C goes to ffmpeg as well as to us, and it may be gone before our own handler has run.
    private static readonly TimeSpan InterruptGrace = TimeSpan.FromMilliseconds(500);

    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    private const string TrialEnding = ".trial.partial";
    private static readonly TimeSpan TrialAge = TimeSpan.FromMinutes(10);

    private readonly string _target;
    private readonly string _partial;
    private readonly int _frameBytes;
    private readonly TimeSpan _limit;
    private readonly FfmpegProcess _ffmpeg;
    private readonly FramePipe _frames;
    private readonly TagsFile _tags;
    private readonly CancellationToken _cancellation;
    private bool _hasPartial;
    private bool _completed;
    private bool _disposed;

    private Mp4Writer(
        string target, string partial, int width, int height, string rate, string encoder, IReadOnlyDictionary<string, string> metadata,
        FfmpegTools tools, TimeSpan limit, CancellationToken cancellation)
    {
        (_target, _partial, _frameBytes, _limit, _cancellation) = (target, partial, width * height * 3, limit, cancellation);
        _tags = TagsFile.Write(partial.Insert(target.Length, ".tags"), metadata);
        try
        {
            _ffmpeg = FfmpegProcess.Start(tools.Ffmpeg, Mp4Arguments.Of(width, height, rate, encoder, _tags.Path, _partial), cancellation);
        }
        catch
        {
            _tags.Dispose();
            throw;
        }

        _ffmpeg.DropOutput();
        _frames = new FramePipe(_ffmpeg.Input);
    }

    /// <summary>How many frames were written so far.</summary>
    public int FramesWritten { get; private set; }

    /// <summary>
    /// Sees, before the expensive work, that a video can be written: the name ends in .mp4, its folder can be made and written to, there
    /// is an ffmpeg with an H.264 encoder, and a trial frame goes all the way through. Leaves nothing but the folder.
    /// </summary>
    /// <param name="path">The MP4 to be written.</param>
    /// <param name="tools">The ffmpeg to use; <see cref="FfmpegTools.Find()"/> if null. It is tried once a process and folder.</param>
    /// <param name="cancellation">Ends ffmpeg.</param>
    /// <exception cref="NablaGenException">One of these fails; the message says which.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static void CheckTarget(string path, FfmpegTools? tools = null, CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        var target = OutputFile.Prepare(path, ".mp4");
        tools ??= FfmpegTools.Find();
        var folder = Path.GetDirectoryName(target)!;
        if (tools.HasWrittenTo(folder))
        {
            return;
        }

        DiscardOldTrials(folder);
        // Where libx264 works, as it nearly always does, ffmpeg is started once. If not: is it the encoder, or the place?
        var encoder = tools.KnownEncoder ?? FfmpegTools.BestEncoder;
        var failure = Try(target, encoder, tools, cancellation);
        if (failure is not null && tools.PickH264Encoder(cancellation) is var other && other != encoder)
        {
            (encoder, failure) = (other, Try(target, other, tools, cancellation));
        }

        if (failure is not null)
        {
            throw failure;
        }

        tools.Remember(encoder, folder);
    }

    /// <summary>Starts ffmpeg for a video.</summary>
    /// <param name="path">The MP4 to write; its folder is made.</param>
    /// <param name="width">Width in pixels, even.</param>
    /// <param name="height">Height in pixels, even.</param>
    /// <param name="fps">Frames a second.</param>
    /// <param name="metadata">
    /// Tags: title, comment, artist, date, genre, copyright, description. Any text of any length; it reads back as it was, but for NUL
    /// and unpaired surrogates, which become U+FFFD.
    /// </param>
    /// <param name="tools">The ffmpeg to use; <see cref="FfmpegTools.Find()"/> if null.</param>
    /// <param name="cancellation">Ends ffmpeg; the calls that follow throw <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="NablaGenException">As for <see cref="CheckTarget"/>, or an odd size, or a rate outside 0.1 to 1000.</exception>
    /// <exception cref="ArgumentException">A tag that MP4 has no place for.</exception>
    public static Mp4Writer Open(
        string path, int width, int height, double fps, IReadOnlyDictionary<string, string>? metadata = null,
        FfmpegTools? tools = null, CancellationToken cancellation = default)
    {
        if (width <= 0 || height <= 0 || width % 2 != 0 || height % 2 != 0)
        {
            throw new NablaGenException($"{path}: an H.264 video has an even width and height, found {width}x{height}");
        }

        if (fps is not (>= 0.1 and <= 1000))
        {
            throw new NablaGenException($"{path}: the frame rate must be from 0.1 to 1000 frames a second, found {fps}");
        }

        metadata ??= new Dictionary<string, string>();
        if (metadata.Keys.FirstOrDefault(key => !KnownTags.Contains(key)) is { } unknown)
        {
            throw new ArgumentException($"An MP4 has no tag \"{unknown}\"; it has {string.Join(", ", KnownTags)}.", nameof(metadata));
        }

        cancellation.ThrowIfCancellationRequested();
        var target = OutputFile.Prepare(path, ".mp4");
        tools ??= FfmpegTools.Find();
        var encoder = tools.PickH264Encoder(cancellation);
        return new Mp4Writer(
            target, OutputFile.Aside(target), width, height, FfmpegText.Rate(fps), encoder, metadata, tools, tools.StallLimit, cancellation);
    }

    /// <summary>Adds a frame. Blocks while ffmpeg is behind, so that only a few frames are held.</summary>
    /// <param name="rgb24">height × width × 3 bytes: rows from the top, pixels from the left, red, green, blue. Copied.</param>
    /// <exception cref="NablaGenException">ffmpeg has failed; the message holds its own reason.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    public void WriteFrame(ReadOnlySpan<byte> rgb24)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (rgb24.Length != _frameBytes)
        {
            throw new ArgumentException($"A frame has {_frameBytes} bytes here, found {rgb24.Length}.", nameof(rgb24));
        }

        _cancellation.ThrowIfCancellationRequested();
        _tags.DiscardOnceRead(_partial);
        try
        {
            if (!_frames.Write(rgb24, _limit, _cancellation))
            {
                throw Failure();
            }
        }
        catch (TimeoutException e)
        {
            _ffmpeg.Kill();
            throw new EnvironmentException($"{_target}: ffmpeg has taken no frame for {_limit.TotalSeconds:0} s and was ended", e);
        }

        FramesWritten++;
        _hasPartial = _hasPartial || File.Exists(_partial);
    }

    /// <summary>Waits until ffmpeg has written everything and gives the file its name. No frame can follow.</summary>
    /// <exception cref="NablaGenException">ffmpeg has failed (the message holds its own reason), or the file cannot be renamed.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled; there is no file.</exception>
    public void Complete()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (FramesWritten == 0)
        {
            throw new InvalidOperationException("A video needs at least one frame.");
        }

        Finish();
        // Should renaming fail, the finished file is kept.
        _completed = true;
        OutputFile.Rename(_partial, _target);
    }

    /// <summary>Ends ffmpeg. Without <see cref="Complete"/> nothing of the video is left.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        if (!_completed)
        {
            _ffmpeg.Kill();
        }

        _frames.Close();
        _ffmpeg.Dispose();
        if (!_completed)
        {
            OutputFile.Discard(_partial);
        }

        _tags.Dispose();
    }

    // Why a frame does not get through; null where it does.
    private static NablaGenException? Try(string target, string encoder, FfmpegTools tools, CancellationToken cancellation)
    {
        // Hardware encoders refuse very small frames.
        const int Side = 256;
        var partial = $"{target}.{Guid.NewGuid().ToString("N")[..8]}{TrialEnding}";
        using var trial = new Mp4Writer(
            target, partial, Side, Side, "16/1", encoder, new Dictionary<string, string>(), tools, tools.AnswerLimit, cancellation);
        try
        {
            trial.WriteFrame(new byte[Side * Side * 3]);
            trial.Finish();
            return null;
        }
        catch (NablaGenException e) when (trial._ffmpeg.HasEnded)
        {
            return e;
        }
    }

    // What processes that were killed in the middle of a trial have left; a trial that is alive ends within its limit.
    private static void DiscardOldTrials(string folder)
    {
        foreach (var file in Directory.EnumerateFiles(folder, "*" + TrialEnding))
        {
            if (DateTime.UtcNow - File.GetLastWriteTimeUtc(file) > TrialAge)
            {
                OutputFile.Discard(file);
            }
        }
    }

    private void Finish()
    {
        _frames.Close();
        if (!_ffmpeg.Wait(_limit))
        {
            throw new EnvironmentException($"{_target}: ffmpeg has not finished the file {_limit.TotalSeconds:0} s after the last frame and was ended");
        }

        if (_ffmpeg.ExitCode != 0 || _frames.IsBroken)
        {
            throw Failure();
        }

        if (!Mp4Atoms.IsFastStart(_partial))
        {
            throw new NablaGenException($"{_target}: ffmpeg wrote a damaged file: {_ffmpeg.Errors.Line ?? "it has no index"}");
        }
    }

    private Exception Failure()
    {
        // It may have closed its end and still be at work on its last words.
        if (!_ffmpeg.Wait(Grace))
        {
            _ffmpeg.Kill();
            _ffmpeg.Wait(Grace);
        }

        if (_cancellation.CanBeCanceled && _cancellation.WaitHandle.WaitOne(InterruptGrace))
        {
            return new OperationCanceledException(_cancellation);
        }

        // What a video shows neither ends ffmpeg by a signal nor takes its files away.
        var line = $"{_target}: ffmpeg failed: {_ffmpeg.Reason}";
        return _ffmpeg.WasEnded || _tags.WasTaken || (_hasPartial && !File.Exists(_partial)) ? new EnvironmentException(line) : new NablaGenException(line);
    }
}
