using System.Diagnostics;
using System.Text;

namespace NablaGen.Video;

/// <summary>Reads a video's frames as RGB, one at a time, in order, through a pipe from ffmpeg.</summary>
/// <remarks>
/// Not through FFMpegCore: it closes an output pipe when ffmpeg exits, and what a slow reader has not read by then is lost. Here
/// ffmpeg waits until the reader has its frame. Not thread-safe.
/// </remarks>
public sealed class VideoReader : IDisposable
{
    private readonly string _path;
    private readonly Process _ffmpeg;
    private readonly FfmpegErrors _errors = new();

    private VideoReader(string path, VideoInfo info, Process ffmpeg)
    {
        _path = path;
        Info = info;
        _ffmpeg = ffmpeg;
        _ffmpeg.ErrorDataReceived += (_, e) => _errors.Add(e.Data);
        _ffmpeg.BeginErrorReadLine();
    }

    /// <summary>The video's size, rate and the rest.</summary>
    public VideoInfo Info { get; }

    /// <summary>Bytes of a frame: height × width × 3.</summary>
    public int FrameBytes => Info.Width * Info.Height * 3;

    /// <summary>Opens a video.</summary>
    /// <param name="path">The video, in any format that ffmpeg knows.</param>
    /// <param name="tools">The ffmpeg to use; <see cref="FfmpegTools.Find()"/> if null.</param>
    /// <exception cref="NablaGenException">There is no such file, no ffmpeg, or the file holds no video that it can read.</exception>
    public static VideoReader Open(string path, FfmpegTools? tools = null)
    {
        tools ??= FfmpegTools.Find();
        var info = VideoProbe.Read(path, tools);
        string[] arguments =
        [
            // Stored pixels, whatever way up; each frame once, whatever its time.
            "-hide_banner", "-nostdin", "-loglevel", "error", "-xerror", "-noautorotate",
            "-i", "file:" + Path.GetFullPath(path), "-map", "0:v:0",
            "-vf", "setpts=N/FRAME_RATE/TB,scale=flags=bicubic+accurate_rnd+full_chroma_int",
            "-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1",
        ];
        var start = new ProcessStartInfo(tools.Ffmpeg, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardErrorEncoding = Encoding.UTF8,
            CreateNoWindow = true,
        };
        return new VideoReader(path, info, Process.Start(start)!);
    }

    /// <summary>Reads the next frame.</summary>
    /// <param name="rgb24"><see cref="FrameBytes"/> bytes: rows from the top, pixels from the left, red, green, blue.</param>
    /// <returns>False at the end of the video.</returns>
    /// <exception cref="NablaGenException">ffmpeg cannot decode the video.</exception>
    public bool ReadFrame(Span<byte> rgb24)
    {
        if (rgb24.Length != FrameBytes)
        {
            throw new ArgumentException($"A frame has {FrameBytes} bytes here, found room for {rgb24.Length}.", nameof(rgb24));
        }

        var read = _ffmpeg.StandardOutput.BaseStream.ReadAtLeast(rgb24, rgb24.Length, throwOnEndOfStream: false);
        if (read == rgb24.Length)
        {
            return true;
        }

        _ffmpeg.WaitForExit();
        return read == 0 && _ffmpeg.ExitCode == 0 ? false : throw new NablaGenException($"{_path}: ffmpeg cannot read it: {_errors.Line}");
    }

    /// <summary>Ends ffmpeg.</summary>
    public void Dispose()
    {
        // Does nothing where it has ended.
        _ffmpeg.Kill();
        _ffmpeg.WaitForExit();
        _ffmpeg.Dispose();
    }
}
