using System.Diagnostics;
using System.Text;
using NablaGen.Files;

namespace NablaGen.Video;

/// <summary>Writes frames as an animated GIF that repeats for ever, with a palette of its own, through ffmpeg.</summary>
public static class GifWriter
{
    /// <summary>Writes the file beside its target, then renames it, over one that has the name.</summary>
    /// <param name="path">The GIF to write; its folder is made.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="fps">Frames a second; a GIF counts in hundredths of a second.</param>
    /// <param name="frames">At least one, of height × width × 3 bytes: rows from the top, pixels from the left, red, green, blue.</param>
    /// <param name="tools">The ffmpeg to use; <see cref="FfmpegTools.Find()"/> if null.</param>
    /// <exception cref="NablaGenException">The name does not end in .gif, it cannot be written, or ffmpeg fails.</exception>
    public static void Save(string path, int width, int height, double fps, IReadOnlyList<byte[]> frames, FfmpegTools? tools = null)
    {
        if (frames.Count == 0 || frames.Any(frame => frame.Length != width * height * 3))
        {
            throw new ArgumentException($"Expected frames of {width * height * 3} bytes, at least one.", nameof(frames));
        }

        var target = OutputFile.Prepare(path, ".gif");
        var partial = OutputFile.Aside(target);
        try
        {
            Encode(path, partial, $"{width}x{height}", FfmpegText.Rate(fps), frames, tools ?? FfmpegTools.Find());
            OutputFile.Rename(partial, target);
        }
        catch
        {
            OutputFile.Discard(partial);
            throw;
        }
    }

    private static void Encode(string path, string partial, string size, string rate, IReadOnlyList<byte[]> frames, FfmpegTools tools)
    {
        string[] arguments =
        [
            "-hide_banner", "-loglevel", "error", "-xerror", "-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", size, "-framerate", rate,
            "-i", "pipe:0", "-filter_complex", "split[a][b];[a]palettegen[p];[b][p]paletteuse", "-loop", "0", "-f", "gif", "file:" + partial,
        ];
        var errors = new FfmpegErrors();
        using var ffmpeg = Process.Start(new ProcessStartInfo(tools.Ffmpeg, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
            StandardErrorEncoding = Encoding.UTF8,
            CreateNoWindow = true,
        })!;
        ffmpeg.ErrorDataReceived += (_, e) => errors.Add(e.Data);
        ffmpeg.BeginErrorReadLine();
        try
        {
            foreach (var frame in frames)
            {
                ffmpeg.StandardInput.BaseStream.Write(frame);
            }

            ffmpeg.StandardInput.Close();
        }
        catch (IOException)
        {
            // ffmpeg has closed its end: its exit code and its last line say why.
        }

        ffmpeg.WaitForExit();
        if (ffmpeg.ExitCode != 0)
        {
            throw new NablaGenException($"{path}: ffmpeg cannot write it: {errors.Line}");
        }
    }
}
