using System.Text;
using FFMpegCore;
using FFMpegCore.Enums;
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

    private readonly string _target;
    private readonly string _partial;
    private readonly string _metadata;
    private readonly int _frameBytes;
    private readonly FramePipe _frames;
    private readonly FfmpegErrors _errors = new();
    private readonly Task<bool> _ffmpeg;
    private readonly Action _cancelProcessor;
    private readonly CancellationToken _cancellation;
    private readonly CancellationTokenRegistration _registration;
    private Exception? _startFailure;
    private bool _completed;
    private bool _disposed;

    private Mp4Writer(
        string target, int width, int height, string rate, string encoder, string metadata, FfmpegTools tools, CancellationToken cancellation)
    {
        _target = target;
        _partial = OutputFile.Aside(target);
        _metadata = metadata;
        _frameBytes = width * height * 3;
        _cancellation = cancellation;
        _frames = new FramePipe($"-f rawvideo -pixel_format rgb24 -video_size {width}x{height} -framerate {rate}");

        var processor = FFMpegArguments
            .FromPipeInput(_frames, options => options.WithCustomArgument("-hide_banner -nostdin -loglevel error -xerror"))
            .AddFileInput(FfmpegText.QuotedFile(metadata), verifyExists: false, options => options.ForceFormat("ffmetadata"))
            .OutputToFile(FfmpegText.QuotedFile(_partial), overwrite: true, options => Encode(options, encoder, width * height))
            .NotifyOnError(_errors.Add)
            .CancellableThrough(out _cancelProcessor);
        _ffmpeg = RunAsync(processor, FfmpegTools.OptionsFor(tools.Ffmpeg));
        _registration = cancellation.Register(Kill);
    }

    /// <summary>How many frames were written so far.</summary>
    public int FramesWritten { get; private set; }

    /// <summary>
    /// Sees, before the expensive work, that a video can be written: the name ends in .mp4, its folder can be made and written to, there
    /// is an ffmpeg with an H.264 encoder, and a trial frame goes all the way through. Leaves nothing but the folder.
    /// </summary>
    /// <param name="path">The MP4 to be written.</param>
    /// <param name="tools">The ffmpeg to use; <see cref="FfmpegTools.Find()"/> if null.</param>
    /// <exception cref="NablaGenException">One of these fails; the message says which.</exception>
    public static void CheckTarget(string path, FfmpegTools? tools = null)
    {
        const int Side = 256; // hardware encoders refuse very small frames
        using var trial = Open(path, Side, Side, fps: 16, tools: tools);
        trial.WriteFrame(new byte[Side * Side * 3]);
        trial.Finish();
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
        var encoder = tools.PickH264Encoder();
        return new Mp4Writer(target, width, height, FfmpegText.Rate(fps), encoder, WriteMetadata(metadata), tools, cancellation);
    }

    /// <summary>Adds a frame. Blocks while ffmpeg is behind, so that only a few frames are held.</summary>
    /// <param name="rgb24">height × width × 3 bytes: rows from the top, pixels from the left, red, green, blue. Copied.</param>
    /// <exception cref="NablaGenException">ffmpeg has failed; the message holds its own last line.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    public void WriteFrame(ReadOnlySpan<byte> rgb24)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (rgb24.Length != _frameBytes)
        {
            throw new ArgumentException($"A frame has {_frameBytes} bytes here, found {rgb24.Length}.", nameof(rgb24));
        }

        _cancellation.ThrowIfCancellationRequested();
        if (!_frames.Write(rgb24, _cancellation))
        {
            throw Failure();
        }

        FramesWritten++;
    }

    /// <summary>Waits until ffmpeg has written everything and gives the file its name. No frame can follow.</summary>
    /// <exception cref="NablaGenException">ffmpeg has failed (the message holds its own last line), or the file cannot be renamed.</exception>
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
        _registration.Dispose();
        if (!_completed)
        {
            Kill();
            _frames.Close();
            _ffmpeg.GetAwaiter().GetResult();
            OutputFile.Discard(_partial);
        }

        OutputFile.Discard(_metadata);
    }

    private void Finish()
    {
        _frames.Close();
        if (!_ffmpeg.GetAwaiter().GetResult())
        {
            throw Failure();
        }

        _cancellation.ThrowIfCancellationRequested();
        if (!Mp4Atoms.IsFastStart(_partial))
        {
            throw new NablaGenException($"{_target}: ffmpeg wrote a damaged file: {_errors.Line}");
        }
    }

    private static void Encode(FFMpegArgumentOptions options, string encoder, int pixels)
    {
        options.WithCustomArgument("-map 0:v:0 -map_metadata 1")
            // RGB has no matrix of its own: BT.709 is converted to, and then said, in the frames and in the stream.
            .WithCustomArgument("-vf \"scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,"
                + "format=yuv420p,setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709\"")
            .WithCustomArgument("-color_range tv -colorspace bt709 -color_primaries bt709 -color_trc bt709")
            .WithVideoCodec(encoder);
        _ = encoder switch
        {
            "libx264" => options.WithConstantRateFactor(17).WithSpeedPreset(Speed.Medium),
            "h264_nvenc" => options.WithCustomArgument("-rc vbr -cq 19 -b:v 0"),
            // The others want a bit rate: 8 Mbit/s for 832x480, by area.
            _ => options.WithVideoBitrate(Math.Max(1000, pixels / 50)),
        };
        options.ForcePixelFormat("yuv420p").WithFastStart().ForceFormat("mp4");
    }

    // ffmpeg reads the tags from a file: a command line could not hold them, and anyone on the machine could read it.
    private static string WriteMetadata(IReadOnlyDictionary<string, string> metadata)
    {
        try
        {
            var file = Path.GetTempFileName();
            File.WriteAllText(file, FfmpegText.Metadata(metadata), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
            return file;
        }
        catch (Exception e) when (OutputFile.IsOfFiles(e))
        {
            throw new NablaGenException($"{Path.GetTempPath()}: the temporary folder cannot be written: {e.Message}", e);
        }
    }

    // True: ffmpeg ended well. Never throws, so that Dispose can wait for it.
    private async Task<bool> RunAsync(FFMpegArgumentProcessor processor, FFOptions options)
    {
        try
        {
            return await processor.ProcessAsynchronously(throwOnError: false, options).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _startFailure = e;
            return false;
        }
        finally
        {
            _frames.Close();
        }
    }

    private void Kill()
    {
        try
        {
            _cancelProcessor();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // ffmpeg ended in the same moment.
        }
    }

    private Exception Failure()
    {
        _ffmpeg.GetAwaiter().GetResult();
        if (_cancellation.CanBeCanceled && _cancellation.WaitHandle.WaitOne(InterruptGrace))
        {
            return new OperationCanceledException(_cancellation);
        }

        var reason = _startFailure switch
        {
            null => _errors.Line,
            // FFMpegCore's pipe is a socket in the temporary folder, and those have short paths.
            ArgumentOutOfRangeException => $"the temporary folder's path is too long for a pipe, set TMPDIR to a shorter one: {Path.GetTempPath()}",
            _ => _startFailure.Message.ReplaceLineEndings(" "),
        };
        return new NablaGenException($"{_target}: ffmpeg failed: {reason}", _startFailure!);
    }
}
