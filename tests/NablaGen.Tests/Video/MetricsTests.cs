using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using NablaGen.Video;
using NablaGen.Video.Metrics;

namespace NablaGen.Tests.Video;

public sealed partial class MetricsTests : IDisposable
{
    private const int Frames = 7;

    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData(64, 48, 40, 255)]
    [InlineData(128, 80, 4, 255)]
    [InlineData(52, 38, 90, 255)] // neither plane is a multiple of SSIM's windows
    [InlineData(64, 64, 30, 24)] // dark, where SSIM's constants count
    public void Psnr_and_ssim_are_ffmpegs(int width, int height, int noise, int brightest)
    {
        var reference = Write("a.mp4", width, height, 0, brightest);
        var other = Write("b.mp4", width, height, noise, brightest);
        var quality = VideoQuality.Measure(other, reference, cancellation: TestContext.Current.CancellationToken);

        var (psnr, ssim) = Filters(other, reference, width);
        Assert.Equal(psnr, quality.Psnr!.Value, 1e-3);
        Assert.Equal(ssim, quality.Ssim!.Value, 1e-3);
        Assert.InRange(quality.Psnr.Value, 5, 60);
        Assert.Equal((Frames, Frames), (quality.PsnrByFrame!.Count, quality.SsimByFrame!.Count));
        Assert.Equal(quality.SsimByFrame.Average(), quality.Ssim.Value, 1e-9);
    }

    [Fact]
    public void A_video_equals_itself()
    {
        var video = Write("a.mp4", 64, 48, 9, 255);
        var quality = VideoQuality.Measure(video, video, cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(double.PositiveInfinity, quality.Psnr);
        Assert.Equal(1, quality.Ssim!.Value, 1e-12);
    }

    [Fact]
    public void Videos_of_another_length_or_size_are_refused()
    {
        Clip.Write(_folder["a.mp4"], 64, 48, 3, 8);
        Clip.Write(_folder["b.mp4"], 64, 48, 4, 8);
        var error = Assert.Throws<NablaGenException>(() => VideoQuality.Measure(_folder["a.mp4"], _folder["b.mp4"], cancellation: TestContext.Current.CancellationToken));
        Assert.Contains("expected 4 frames of 64x48", error.Message);
        Assert.Contains("found 3 frames of 64x48", error.Message);
    }

    [Fact]
    public void Flicker_sees_jumps_and_not_a_fade()
    {
        Assert.Equal(0, FlickerOf(t => 10 * t)!.Value, 1e-12);
        Assert.Equal(20, FlickerOf(t => 100 + 20 * (t % 2))!.Value, 1e-12);
        Assert.Null(FlickerOf(t => 0, frames: 2));
    }

    public void Dispose() => _folder.Dispose();

    private static double? FlickerOf(Func<int, int> level, int frames = 6)
    {
        var flicker = new Flicker();
        for (var t = 0; t < frames; t++)
        {
            var frame = new YuvFrame(16, 16);
            frame.Bytes.Fill((byte)level(t));
            flicker.Add(frame);
        }

        return flicker.Value;
    }

    // A ball that moves over a gradient, with some noise on top.
    private string Write(string name, int width, int height, int noise, int brightest)
    {
        var random = new Random(noise);
        using var writer = Mp4Writer.Open(_folder[name], width, height, 8, cancellation: TestContext.Current.CancellationToken);
        for (var t = 0; t < Frames; t++)
        {
            var frame = new byte[width * height * 3];
            for (var i = 0; i < frame.Length; i++)
            {
                var (x, y, channel) = (i / 3 % width, i / 3 / width, i % 3);
                var ball = Math.Abs(x - 8 - 4 * t) + Math.Abs(y - height / 2) < 10 ? 90 : 0;
                var value = (x * (channel + 1) + y * 2 + ball) % 256 + random.Next(-noise, noise + 1);
                frame[i] = (byte)(Math.Clamp(value, 0, 255) * brightest / 255);
            }

            writer.WriteFrame(frame);
        }

        writer.Complete();
        return _folder[name];
    }

    // What ffmpeg's own filters say, both from one start of it.
    private static (double Psnr, double Ssim) Filters(string video, string reference, int width)
    {
        // ffmpeg's SSIM in SSE loses windows at the end of a row for some widths (seen with 5.1: another value than its C code has, from
        // the same files); at multiples of 32 the two agree.
        string[] flags = width % 32 == 0 ? [] : ["-cpuflags", "0"];
        using var process = Process.Start(new ProcessStartInfo(
            FfmpegTools.Find().Ffmpeg, [.. flags, "-hide_banner", "-nostdin", "-i", video, "-i", reference, "-lavfi", "[0:v][1:v]psnr;[0:v][1:v]ssim", "-f", "null", "-"])
        {
            RedirectStandardError = true,
        })!;
        var output = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (Value(PsnrLine()), Value(SsimLine()));

        double Value(Regex line)
        {
            var match = line.Match(output);
            Assert.True(match.Success, output);
            return double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
        }
    }

    [GeneratedRegex(@"PSNR .*average:(\S+)")]
    private static partial Regex PsnrLine();

    [GeneratedRegex(@"SSIM .*All:(\S+)")]
    private static partial Regex SsimLine();
}
