using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using FFMpegCore;
using FFMpegCore.Exceptions;
using NablaGen.Files;

namespace NablaGen.Video;

/// <summary>Reads what a video file says of itself, with ffprobe.</summary>
public static class VideoProbe
{
    // Counting reads the whole file, which may lie on a slow drive.
    private const int CountingFactor = 10;

    private const int MostKnown = 256;

    // A comparison opens each of its videos ten times. Another file under the same name is asked anew.
    private static readonly ConcurrentDictionary<(string Ffprobe, string Path, DateTime Written, long Length), VideoInfo> Known = new();

    /// <summary>Reads a video file's properties and counts its frames; of one that has not changed they are known the next time.</summary>
    /// <param name="path">The video, in any format that ffprobe knows.</param>
    /// <param name="tools">The ffmpeg whose ffprobe to use; <see cref="FfmpegTools.Find()"/> if null.</param>
    /// <param name="cancellation">Ends ffprobe.</param>
    /// <exception cref="NablaGenException">There is no such file, no ffprobe, or the file holds no video that it can read.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static VideoInfo Read(string path, FfmpegTools? tools = null, CancellationToken cancellation = default)
    {
        var file = new FileInfo(path);
        if (!file.Exists)
        {
            throw new NablaGenException($"{path}: there is no such file");
        }

        tools ??= FfmpegTools.Find();
        var key = (tools.NeedFfprobe(), file.FullName, file.LastWriteTimeUtc, file.Length);
        cancellation.ThrowIfCancellationRequested();
        if (Known.TryGetValue(key, out var known))
        {
            return known;
        }

        // All in one start: what FFMpegCore's reader wants, and the count of packets, of which each video frame has one.
        string[] arguments =
        [
            "-hide_banner", "-loglevel", "error", "-print_format", "json", "-show_format", "-sexagesimal", "-show_streams", "-show_chapters",
            "-select_streams", "v", "-count_packets", "-i", "file:" + file.FullName,
        ];
        var answer = FfmpegProcess.Ask(tools.NeedFfprobe(), arguments, tools.AnswerLimit * CountingFactor, cancellation);
        if (answer.ExitCode != 0)
        {
            throw new NablaGenException($"{path}: not a video that ffprobe can read: {answer.Reason}");
        }

        if (Known.Count >= MostKnown)
        {
            Known.Clear();
        }

        return Known[key] = Parse(answer.Output, path);
    }

    /// <summary>Reads ffprobe's answer.</summary>
    /// <param name="json">The answer.</param>
    /// <param name="path">The video.</param>
    /// <exception cref="NablaGenException">It holds no video.</exception>
    internal static VideoInfo Parse(string json, string path)
    {
        try
        {
            var analysis = FFProbe.FromJson(json);
            var video = analysis.PrimaryVideoStream ?? throw new NablaGenException($"{path}: the file holds no video");
            using var document = JsonDocument.Parse(json);
            var stream = document.RootElement.GetProperty("streams").EnumerateArray().First(one => one.GetProperty("index").GetInt32() == video.Index);
            var (width, height) = (video.Width ?? 0, video.Height ?? 0);
            var lies = IsStoredLying(stream);
            return new VideoInfo(
                lies ? height : width,
                lies ? width : height,
                int.Parse(stream.GetProperty("nb_read_packets").GetString()!, CultureInfo.InvariantCulture),
                video.RealFrameRate,
                analysis.Duration,
                video.CodecName ?? "unknown",
                video.PixelFormat ?? "unknown",
                video.ColorSpace,
                Mp4Atoms.IsFastStart(path),
                analysis.Format.Tags ?? new Dictionary<string, string>());
        }
        catch (Exception e) when (e is JsonException or FormatException or ArgumentException or InvalidOperationException or OverflowException
            or KeyNotFoundException or NullReferenceException or IndexOutOfRangeException or FFProbeException)
        {
            throw new NablaGenException($"{path}: not a video that ffprobe can read: its answer makes no sense ({Line.Of(e.Message, 300)})", e);
        }
    }

    // Whether ffmpeg turns the frames by a quarter as it decodes them, by its own rule (get_rotation and configure_input_video_filter).
    private static bool IsStoredLying(JsonElement stream)
    {
        var degrees = stream.TryGetProperty("side_data_list", out var list)
            ? list.EnumerateArray().Select(one => one.TryGetProperty("rotation", out var value) ? value.GetDouble() : 0).FirstOrDefault(value => value != 0)
            : 0;
        return Math.Abs((Math.Abs(degrees) % 180) - 90) < 1;
    }
}
