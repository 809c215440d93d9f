using NablaGen.Video;

namespace NablaGen.Tests.Video;

/// <summary>Frames to write and ffmpegs that misbehave.</summary>
internal static class Clip
{
    /// <summary>Vertical bars of these colours (0xRRGGBB); frame t is darker by t levels.</summary>
    public static byte[] Bars(int width, int height, int t, params int[] colours)
    {
        var frame = new byte[width * height * 3];
        for (var i = 0; i < width * height; i++)
        {
            var colour = colours[i % width * colours.Length / width];
            for (var channel = 0; channel < 3; channel++)
            {
                frame[i * 3 + channel] = (byte)Math.Max(0, (colour >> (16 - 8 * channel) & 255) - t);
            }
        }

        return frame;
    }

    /// <summary>Noise: what compresses worst.</summary>
    public static byte[] Noise(int width, int height, int seed)
    {
        var frame = new byte[width * height * 3];
        new Random(seed).NextBytes(frame);
        return frame;
    }

    public static void Write(
        string path, int width, int height, int frames, double fps, IReadOnlyDictionary<string, string>? tags = null, FfmpegTools? tools = null)
    {
        using var writer = Mp4Writer.Open(path, width, height, fps, tags, tools, TestContext.Current.CancellationToken);
        for (var t = 0; t < frames; t++)
        {
            writer.WriteFrame(Bars(width, height, t, 0xc02020, 0x20c020, 0x2020c0, 0x808080));
        }

        writer.Complete();
        Assert.Equal(frames, writer.FramesWritten);
    }

    /// <summary>An ffmpeg that is a shell script around the real one, which is <c>$FFMPEG</c> in it; the ffprobe is the real one.</summary>
    public static FfmpegTools Script(TempFolder folder, string body) => StandIn(folder, "ffmpeg", $"FFMPEG='{FfmpegTools.Find().Ffmpeg}'\n{body}");

    /// <summary>An ffprobe that is a shell script around the real one, which is <c>$FFPROBE</c> in it; the ffmpeg is the real one.</summary>
    public static FfmpegTools Probe(TempFolder folder, string body) => StandIn(folder, "ffprobe", $"FFPROBE='{FfmpegTools.Find().Ffprobe}'\n{body}");

    private static FfmpegTools StandIn(TempFolder folder, string program, string script)
    {
        var place = Directory.CreateDirectory(folder[$"ffmpeg-{Guid.NewGuid():N}"]).FullName;
        var path = Path.Combine(place, program);
        File.WriteAllText(path, $"#!/bin/bash\nexport NABLAGEN_TEST='{folder.Path}'\n{script}\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            var tools = FfmpegTools.Find();
            var (other, real) = program == "ffmpeg" ? ("ffprobe", tools.Ffprobe!) : ("ffmpeg", tools.Ffmpeg);
            File.CreateSymbolicLink(Path.Combine(place, other), real);
        }

        return FfmpegTools.Find(place, Environment.GetEnvironmentVariable("PATH"));
    }
}
