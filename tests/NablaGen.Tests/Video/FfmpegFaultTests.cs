using System.Diagnostics;
using NablaGen.Files;
using NablaGen.Video;
using NablaGen.Video.Metrics;

namespace NablaGen.Tests.Video;

/// <summary>An ffmpeg or ffprobe that hangs, does not load or does not encode.</summary>
[Trait(Lane.Name, Lane.Commands)]
public sealed class FfmpegFaultTests : IDisposable
{
    private const string Hang = "exec sleep 300";
    private const string DoesNotLoad = "echo 'ffmpeg: error while loading shared libraries: libopenh264.so.5: cannot open shared object file: No such file or directory' >&2; exit 127";

    private readonly TempFolder _folder = new();

    public FfmpegFaultTests() => Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-ins are shell scripts");

    public static TheoryData<string> Calls => ["trial", "encoders", "version", "ffprobe", "probe", "frame", "yuv"];

    [Theory]
    [MemberData(nameof(Calls))]
    public void Cancellation_ends_an_ffmpeg_that_hangs(string call)
    {
        var action = Hanging(call, out _);
        using var source = new CancellationTokenSource(TimeSpan.FromSeconds(0.5));
        var clock = Stopwatch.StartNew();

        Assert.ThrowsAny<OperationCanceledException>(() => action(source.Token));

        Assert.InRange(clock.Elapsed.TotalSeconds, 0.3, 6);
        AssertNothingLeft();
    }

    [Theory]
    [MemberData(nameof(Calls))]
    public void An_ffmpeg_that_hangs_is_ended_by_a_time_limit(string call)
    {
        var action = Hanging(call, out var tools);
        // Counting frames may take ten times as long as an answer.
        (tools.AnswerLimit, tools.StallLimit) = (TimeSpan.FromSeconds(call == "probe" ? 0.1 : 0.5), TimeSpan.FromSeconds(0.5));

        var error = Assert.ThrowsAny<NablaGenException>(() => action(TestContext.Current.CancellationToken));

        Assert.Matches("^[^\n]*(gave no answer within|has given no frame for|has not finished the file)[^\n]* s[^\n]* ended[^\n]*$", error.Message);
        AssertNothingLeft();
    }

    [Fact]
    public void A_writer_whose_ffmpeg_stands_still_ends_by_a_time_limit()
    {
        var tools = Clip.Script(_folder, $"[[ \"$*\" == *ffmetadata* ]] && {Hang}; exec \"$FFMPEG\" \"$@\"");
        tools.StallLimit = TimeSpan.FromSeconds(1);
        using (var writer = Mp4Writer.Open(_folder["a.mp4"], 256, 256, 16, null, tools, TestContext.Current.CancellationToken))
        {
            var error = Assert.Throws<EnvironmentException>(() =>
            {
                for (var t = 0; t < 100; t++)
                {
                    writer.WriteFrame(new byte[256 * 256 * 3]);
                }
            });
            Assert.Contains("has taken no frame for 1 s", error.Message);
        }

        AssertNothingLeft();
    }

    [Fact]
    public void One_that_prints_where_nobody_listens_does_not_wait_for_a_reader()
    {
        var tools = Clip.Script(_folder, "head -c 200000 /dev/zero; echo broken >&2; exit 3");
        var clock = Stopwatch.StartNew();
        Assert.Contains("broken", Assert.ThrowsAny<NablaGenException>(() => Mp4Writer.CheckTarget(_folder["a.mp4"], tools, TestContext.Current.CancellationToken)).Message);
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, tools.AnswerLimit);
    }

    [Fact]
    public void One_that_ends_before_it_reads_a_frame_is_told_by_its_exit_code()
    {
        var tools = Clip.Script(_folder, "case \"$*\" in *-encoders* | *-version*) exec \"$FFMPEG\" \"$@\" ;; esac; exit 127");
        for (var i = 0; i < 6; i++)
        {
            var error = Assert.Throws<NablaGenException>(() => Mp4Writer.CheckTarget(_folder["a.mp4"], tools, TestContext.Current.CancellationToken));
            Assert.Contains("no H.264 encoder that works here (tried libx264: it ended with exit code 127 and said nothing", error.Message);
        }

        AssertNothingLeft();
    }

    [Fact]
    public void One_that_does_not_load_is_told_by_the_loaders_line()
    {
        var tools = Clip.Script(_folder, DoesNotLoad);
        foreach (var action in new Action[]
        {
            () => Mp4Writer.CheckTarget(_folder["a.mp4"], tools, TestContext.Current.CancellationToken),
            () => tools.ReadVersion(TestContext.Current.CancellationToken),
            () => tools.PickH264Encoder(TestContext.Current.CancellationToken),
        })
        {
            var error = Assert.Throws<NablaGenException>(action);
            Assert.StartsWith($"{tools.Ffmpeg} cannot be run: ffmpeg: error while loading shared libraries: libopenh264.so.5", error.Message);
        }
    }

    [Fact]
    public void A_file_that_is_no_program_is_one_line()
    {
        var tools = Clip.Script(_folder, "exit 0");
        File.WriteAllBytes(tools.Ffmpeg, [0x7f, (byte)'E', (byte)'L', (byte)'F', 0, 0, 0, 0]);
        Assert.StartsWith($"{tools.Ffmpeg} cannot be run: ", Assert.Throws<NablaGenException>(
            () => Mp4Writer.CheckTarget(_folder["a.mp4"], tools, TestContext.Current.CancellationToken)).Message);
        AssertNothingLeft();
    }

    [Fact]
    public void Ffmpeg_is_started_once_for_the_checks_and_once_for_a_video_and_ffprobe_once_for_a_look()
    {
        var tools = Clip.Script(_folder, $"echo \"$@\" >> '{_folder["starts"]}'\nexec \"$FFMPEG\" \"$@\"");
        Mp4Writer.CheckTarget(_folder["a.mp4"], tools, TestContext.Current.CancellationToken);
        Assert.Single(File.ReadAllLines(_folder["starts"]));
        // A second video into the folder, as a batch's next row, needs no trial.
        Mp4Writer.CheckTarget(_folder["b.mp4"], tools, TestContext.Current.CancellationToken);
        Clip.Write(_folder["a.mp4"], 64, 48, frames: 5, fps: 16, tools: tools);
        Assert.Equal(2, File.ReadAllLines(_folder["starts"]).Length);

        var probe = Clip.Probe(_folder, $"echo \"$@\" >> '{_folder["probes"]}'\nexec \"$FFPROBE\" \"$@\"");
        Assert.Equal(5, VideoProbe.Read(_folder["a.mp4"], probe, TestContext.Current.CancellationToken).FrameCount);
        Assert.Single(File.ReadAllLines(_folder["probes"]));
    }

    [Fact]
    public void What_a_killed_trial_left_goes_once_it_is_old()
    {
        foreach (var (name, age) in new[] { ("old", 60), ("new", 1) })
        {
            File.WriteAllText(_folder[$"{name}.mp4.01234567.trial.partial"], "");
            File.SetLastWriteTimeUtc(_folder[$"{name}.mp4.01234567.trial.partial"], DateTime.UtcNow.AddMinutes(-age));
        }

        // A stand-in of its own, so that the folder was not tried before.
        Mp4Writer.CheckTarget(_folder["a.mp4"], Clip.Script(_folder, "exec \"$FFMPEG\" \"$@\""), TestContext.Current.CancellationToken);

        Assert.Equal([_folder["new.mp4.01234567.trial.partial"]], Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Frames_are_encoded_as_by_x264s_own_number_of_threads()
    {
        Assert.SkipUnless(FfmpegTools.Find().PickH264Encoder(TestContext.Current.CancellationToken) == FfmpegTools.BestEncoder, "needs libx264");
        const int Side = 256, Frames = 24;
        byte[][] frames = [.. Enumerable.Range(0, Frames).Select(t => Moving(Side, t))];
        File.WriteAllBytes(_folder["frames"], [.. frames.SelectMany(frame => frame)]);
        using (var writer = Mp4Writer.Open(_folder["ours.mp4"], Side, Side, 16, cancellation: TestContext.Current.CancellationToken))
        {
            Array.ForEach(frames, frame => writer.WriteFrame(frame));
            writer.Complete();
        }

        // The command that made videos before NablaGen started ffmpeg itself, and with it every recipe's frames so far.
        string[] arguments =
        [
            "-loglevel", "error", "-f", "rawvideo", "-r", "16", "-pix_fmt", "rgb24", "-s", $"{Side}x{Side}", "-i", _folder["frames"], "-vf",
            "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,format=yuv420p",
            "-c:v", "libx264", "-crf", "17", "-preset", "medium", "-color_range", "tv", "-colorspace", "bt709", "-f", "mp4", _folder["before.mp4"],
        ];
        var answer = FfmpegProcess.Ask(FfmpegTools.Find().Ffmpeg, arguments, TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        Assert.Equal((0, ""), (answer.ExitCode, answer.Output));
        Assert.Equal(Decoded("before.mp4"), Decoded("ours.mp4"));
    }

    public void Dispose() => _folder.Dispose();

    // Noise that moves: on a still picture threads make no difference.
    private static byte[] Moving(int side, int t)
    {
        var noise = Clip.Noise(side / 4 + 16, side / 4 + 16, 7);
        var frame = new byte[side * side * 3];
        for (var i = 0; i < frame.Length; i++)
        {
            var (y, x, channel) = (i / 3 / side, i / 3 % side, i % 3);
            frame[i] = (byte)(noise[((y / 4 + t % 16) * (side / 4 + 16) + x / 4 + t / 2) * 3 + channel] / 2 + (x * 5 + y * 3 + t * 11) % 64);
        }

        return frame;
    }

    private List<byte> Decoded(string name)
    {
        using var reader = VideoReader.Open(_folder[name], cancellation: TestContext.Current.CancellationToken);
        var frame = new byte[reader.FrameBytes];
        List<byte> all = [];
        while (reader.ReadFrame(frame))
        {
            all.AddRange(frame);
        }

        return all;
    }

    // A call that hangs in the named place.
    private Action<CancellationToken> Hanging(string call, out FfmpegTools tools)
    {
        var video = _folder["video.mp4"];
        if (call is "probe" or "frame" or "yuv")
        {
            Clip.Write(video, 64, 48, frames: 5, fps: 16);
        }

        var all = tools = call switch
        {
            "ffprobe" or "probe" => Clip.Probe(_folder, Hang),
            "encoders" => Clip.Script(_folder, $"[[ \"$*\" == *-encoders* ]] && {Hang}; exit 1"),
            // A child that holds the streams open, as a wrapper's would.
            "trial" => Clip.Script(_folder, "sleep 300; exit 1"),
            _ => Clip.Script(_folder, Hang),
        };
        return call switch
        {
            "trial" => token => Mp4Writer.CheckTarget(_folder["a.mp4"], all, token),
            "encoders" => token => all.PickH264Encoder(token),
            "version" => token => all.ReadVersion(token),
            "ffprobe" => token => all.CheckFfprobe(token),
            "probe" => token => VideoProbe.Read(video, all, token),
            "frame" => token => ReadFrame(video, all, token),
            _ => token => ReadYuv(video, all, token),
        };
    }

    private static void ReadFrame(string video, FfmpegTools tools, CancellationToken cancellation)
    {
        using var reader = VideoReader.Open(video, tools, cancellation);
        reader.ReadFrame(new byte[reader.FrameBytes]);
    }

    private static void ReadYuv(string video, FfmpegTools tools, CancellationToken cancellation)
    {
        using var reader = YuvReader.Open(video, tools, cancellation);
        reader.ReadFrame(reader.NewFrame());
    }

    private void AssertNothingLeft()
    {
        Assert.DoesNotContain(Directory.GetFiles(_folder.Path), file => file.EndsWith(".partial"));
        Assert.True(SpinWait.SpinUntil(() => !Process.GetProcesses().Any(IsOurs), 5_000));
    }

    private bool IsOurs(Process process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process.Id}/environ").Contains(_folder.Path) || File.ReadAllText($"/proc/{process.Id}/cmdline").Contains(_folder.Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
