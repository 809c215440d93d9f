using System.Diagnostics;
using System.Text;

namespace NablaGen.Video;

/// <summary>A video's frames as raw bytes, one at a time, in order, through a pipe from ffmpeg.</summary>
/// <remarks>
/// Not through FFMpegCore: it closes an output pipe when ffmpeg exits, and what a slow reader has not read by then is lost. Here
/// ffmpeg waits until the reader has its frame. Not thread-safe.
/// </remarks>
internal sealed class RawFrames : IDisposable
{
    private readonly string _path;
    private readonly Process _ffmpeg;
    private readonly FfmpegErrors _errors = new();

    /// <summary>Starts ffmpeg on a video.</summary>
    /// <param name="path">The video.</param>
    /// <param name="format">What ffmpeg is to make of each frame: a filter or none, and a pixel format.</param>
    /// <param name="tools">The ffmpeg to use.</param>
    public RawFrames(string path, IEnumerable<string> format, FfmpegTools tools)
    {
        _path = path;
        string[] arguments =
        [
            // Stored pixels, whatever way up.
            "-hide_banner", "-nostdin", "-loglevel", "error", "-xerror", "-noautorotate",
            "-i", "file:" + Path.GetFullPath(path), "-map", "0:v:0", .. format, "-f", "rawvideo", "pipe:1",
        ];
        _ffmpeg = Process.Start(new ProcessStartInfo(tools.Ffmpeg, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardErrorEncoding = Encoding.UTF8,
            CreateNoWindow = true,
        })!;
        _ffmpeg.ErrorDataReceived += (_, e) => _errors.Add(e.Data);
        _ffmpeg.BeginErrorReadLine();
    }

    /// <summary>Reads a whole frame. False at the end of the video.</summary>
    /// <exception cref="NablaGenException">ffmpeg cannot decode the video.</exception>
    public bool Read(Span<byte> frame)
    {
        var read = _ffmpeg.StandardOutput.BaseStream.ReadAtLeast(frame, frame.Length, throwOnEndOfStream: false);
        if (read == frame.Length)
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
