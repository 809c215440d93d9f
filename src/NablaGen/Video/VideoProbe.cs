using System.Text.Json;
using FFMpegCore;
using FFMpegCore.Exceptions;

namespace NablaGen.Video;

/// <summary>Reads what a video file says of itself, with ffprobe.</summary>
public static class VideoProbe
{
    /// <summary>Reads a video file's properties and counts its frames.</summary>
    /// <param name="path">The video, in any format that ffprobe knows.</param>
    /// <param name="tools">The ffmpeg whose ffprobe to use; <see cref="FfmpegTools.Find()"/> if null.</param>
    /// <exception cref="NablaGenException">There is no such file, no ffprobe, or the file holds no video that it can read.</exception>
    public static VideoInfo Read(string path, FfmpegTools? tools = null)
    {
        if (!File.Exists(path))
        {
            throw new NablaGenException($"{path}: there is no such file");
        }

        tools ??= FfmpegTools.Find();
        var options = FfmpegTools.OptionsFor(Ffprobe(tools));
        using var alias = new Alias(path);
        try
        {
            var analysis = FFProbe.Analyse(alias.Path, options);
            var video = analysis.PrimaryVideoStream ?? throw new NablaGenException($"{path}: the file holds no video");
            return new VideoInfo(
                video.Width,
                video.Height,
                FFProbe.GetPackets(alias.Path, options, "-select_streams v:0").Packets.Count,
                video.FrameRate,
                analysis.Duration,
                video.CodecName,
                video.PixelFormat,
                video.ColorSpace,
                Mp4Atoms.IsFastStart(path),
                analysis.Format.Tags ?? []);
        }
        catch (Exception e) when (e is FFMpegException or JsonException or FormatException or ArgumentException or NullReferenceException)
        {
            var reason = (e as FFMpegException)?.FFMpegErrorOutput?.Split('\n').LastOrDefault(line => line.Length > 0) ?? e.Message;
            throw new NablaGenException($"{path}: not a video that ffprobe can read: {reason}", e);
        }
    }

    /// <summary>The path of ffprobe.</summary>
    /// <exception cref="NablaGenException">There is none.</exception>
    internal static string Ffprobe(FfmpegTools tools) => tools.Ffprobe
        ?? throw new NablaGenException($"{tools.Ffmpeg} has no ffprobe beside it: install a full ffmpeg ({FfmpegTools.InstallCommand})");

    /// <summary>
    /// A path fit for FFMpegCore's FFProbe, which puts it between double quotes and escapes nothing: for one that has such a quote
    /// (never on Windows) a link to the file under a plain name.
    /// </summary>
    private sealed class Alias : IDisposable
    {
        private readonly DirectoryInfo? _folder;

        public Alias(string path)
        {
            Path = System.IO.Path.GetFullPath(path);
            if (OperatingSystem.IsWindows() || !(Path.Contains('"') || Path.EndsWith('\\')))
            {
                return;
            }

            _folder = Directory.CreateTempSubdirectory("nablagen-");
            var link = System.IO.Path.Combine(_folder.FullName, "video");
            File.CreateSymbolicLink(link, Path);
            Path = link;
        }

        public string Path { get; }

        public void Dispose() => _folder?.Delete(recursive: true);
    }
}
