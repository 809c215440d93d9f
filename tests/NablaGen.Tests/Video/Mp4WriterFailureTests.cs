using System.Diagnostics;
using NablaGen.Files;
using NablaGen.Video;

namespace NablaGen.Tests.Video;

/// <summary>Videos that are not finished: nothing may be left of them, neither files nor processes.</summary>
[Trait(Lane.Name, Lane.Commands)]
public class Mp4WriterFailureTests
{
    private const int Width = 256, Height = 256;

    [Fact]
    public void Dispose_without_complete_leaves_nothing()
    {
        using var folder = new TempFolder();
        var writer = Mp4Writer.Open(folder["video.mp4"], Width, Height, 16, cancellation: TestContext.Current.CancellationToken);
        Feed(writer, 20);
        var ffmpeg = ProcessOf(folder);

        writer.Dispose();
        writer.Dispose();

        Assert.Empty(folder.Files);
        Assert.True(Ended(ffmpeg));
        Assert.Throws<ObjectDisposedException>(() => writer.WriteFrame(new byte[Width * Height * 3]));
    }

    [Fact]
    public void Dispose_before_the_first_frame_leaves_nothing()
    {
        using var folder = new TempFolder();
        Mp4Writer.Open(folder["video.mp4"], Width, Height, 16, cancellation: TestContext.Current.CancellationToken).Dispose();
        Assert.Empty(folder.Files);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(40)]
    public void Cancellation_ends_ffmpeg_and_leaves_nothing(int frames)
    {
        using var folder = new TempFolder();
        using var source = new CancellationTokenSource();
        int ffmpeg;
        using (var writer = Mp4Writer.Open(folder["video.mp4"], Width, Height, 16, cancellation: source.Token))
        {
            Feed(writer, frames);
            ffmpeg = ProcessOf(folder);
            source.Cancel();
            Assert.ThrowsAny<OperationCanceledException>(() => Feed(writer, 1));
            if (frames > 0)
            {
                Assert.ThrowsAny<OperationCanceledException>(writer.Complete);
            }
        }

        Assert.Empty(folder.Files);
        Assert.True(Ended(ffmpeg));
    }

    [Fact]
    public void Cancellation_reaches_a_writer_that_waits_for_ffmpeg()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in for ffmpeg is a shell script");
        using var folder = new TempFolder();
        using var source = new CancellationTokenSource();
        // Opens the pipe like ffmpeg, then reads no more.
        var tools = Clip.Script(folder, "[[ \"$*\" == *ffmetadata* ]] && exec sleep 60; exec \"$FFMPEG\" \"$@\"");
        var clock = Stopwatch.StartNew();
        using (var writer = Mp4Writer.Open(folder["video.mp4"], Width, Height, 16, null, tools, source.Token))
        {
            // Not before: on a busy machine opening takes that long.
            source.CancelAfter(TimeSpan.FromSeconds(2));
            Assert.ThrowsAny<OperationCanceledException>(() => Feed(writer, 1000));
            Assert.InRange(writer.FramesWritten, 1, 10);
        }

        Assert.InRange(clock.Elapsed.TotalSeconds, 0, 20);
    }

    [Fact]
    public void Cancellation_before_the_start_starts_nothing()
    {
        using var folder = new TempFolder();
        Assert.ThrowsAny<OperationCanceledException>(() => Mp4Writer.Open(folder["video.mp4"], Width, Height, 16, cancellation: new(true)));
        Assert.Empty(folder.Files);
    }

    [Fact]
    public async Task An_interrupt_that_ffmpeg_hears_first_is_a_cancellation()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "interrupts are sent with kill");
        using var folder = new TempFolder();
        using var source = new CancellationTokenSource();
        using (var writer = Mp4Writer.Open(folder["video.mp4"], Width, Height, 16, cancellation: source.Token))
        {
            Feed(writer, 5);
            var ffmpeg = ProcessOf(folder);
            Signal(ffmpeg, "INT");
            var ours = Task.Run(() =>
            {
                Assert.True(Ended(ffmpeg));
                source.CancelAfter(100);
            }, TestContext.Current.CancellationToken);
            // On SIGINT ffmpeg takes one more frame and finishes a shorter video: it must not be taken for the whole. On a busy machine it takes
            // hundreds before it looks at the signal.
            Assert.ThrowsAny<OperationCanceledException>(() => Feed(writer, 20_000));
            await ours;
            Assert.ThrowsAny<OperationCanceledException>(writer.Complete);
        }

        Assert.Empty(folder.Files);
    }

    [Theory]
    [InlineData("KILL")]
    [InlineData("TERM")]
    public void Ffmpeg_dying_mid_way_gives_one_line(string signal)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are sent with kill");
        using var folder = new TempFolder();
        using (var writer = Mp4Writer.Open(folder["video.mp4"], Width, Height, 16, cancellation: TestContext.Current.CancellationToken))
        {
            Feed(writer, 5);
            Signal(ProcessOf(folder), signal);
            // Not for what the video shows.
            AssertOneLine(folder, Assert.Throws<EnvironmentException>(() => Feed(writer, 1000)));
        }

        Assert.Empty(folder.Files);
    }

    [Theory]
    [InlineData("")]
    // The tags are taken away before ffmpeg has read them.
    [InlineData("while ls \"$NABLAGEN_TEST\"/*.tags.* >/dev/null 2>&1; do sleep 0.02; done")]
    public void A_half_file_that_somebody_deletes_is_the_surroundings_fault(string first)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows does not delete a file that is open");
        using var folder = new TempFolder();
        var tools = Clip.Script(folder, first + "\nexec \"$FFMPEG\" \"$@\"");
        using var writer = Mp4Writer.Open(folder["video.mp4"], Width, Height, 16, null, tools, TestContext.Current.CancellationToken);
        Feed(writer, first.Length == 0 ? 5 : 1);
        bool IsHalf(string file) => file.EndsWith(".partial", StringComparison.Ordinal)
            && file.Contains(".tags.", StringComparison.Ordinal) == (first.Length > 0);
        Assert.True(SpinWait.SpinUntil(() => folder.Files.Any(IsHalf), TimeSpan.FromSeconds(20)));
        if (first.Length == 0)
        {
            Feed(writer, 1);
        }

        folder.Files.Where(IsHalf).ToList().ForEach(File.Delete);
        var error = Assert.ThrowsAny<NablaGenException>(writer.Complete);
        Assert.True(EnvironmentFault.Is(error), error.Message);
    }

    [Theory]
    // As a full disk does it: the write fails. A limit on file size needs no disk of its own.
    [InlineData("trap '' XFSZ; ulimit -f 64", "File too large")]
    [InlineData("[[ \"$*\" == *ffmetadata* ]] && set -- \"${@/#libx264/libnothing}\"", "Unknown encoder 'libnothing'")]
    public void Ffmpegs_own_last_line_is_shown(string trouble, string expected)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in for ffmpeg is a shell script");
        using var folder = new TempFolder();
        var tools = Clip.Script(folder, trouble + "\nexec \"$FFMPEG\" \"$@\"");
        using (var writer = Mp4Writer.Open(folder["video.mp4"], Width, Height, 16, null, tools, TestContext.Current.CancellationToken))
        {
            var error = Assert.Throws<NablaGenException>(() =>
            {
                Feed(writer, 60);
                writer.Complete();
            });
            AssertOneLine(folder, error);
            Assert.Contains(expected, error.Message);
        }

        Assert.DoesNotContain(folder.Files, file => Path.GetFileName(file) is not ("ffmpeg" or "ffprobe"));
    }

    [Fact]
    public void The_check_of_the_target_sees_a_full_disk()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in for ffmpeg is a shell script");
        using var folder = new TempFolder();
        var tools = Clip.Script(folder, "trap '' XFSZ; ulimit -f 0\nexec \"$FFMPEG\" \"$@\"");

        AssertOneLine(folder, Assert.Throws<NablaGenException>(() => Mp4Writer.CheckTarget(folder["video.mp4"], tools)));

        Assert.DoesNotContain(folder.Files, file => Path.GetFileName(file) is not ("ffmpeg" or "ffprobe"));
    }

    [Fact]
    public void The_tags_file_is_private_and_gone_once_it_is_read()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in for ffmpeg is a shell script");
        using var folder = new TempFolder();
        // It keeps what it was given, and the file of tags with its mode.
        var tools = Clip.Script(folder, $$"""
            if [[ "$*" == *ffmetadata* ]]; then
              for one in "$@"; do [[ $one == file:* ]] && { cp -p "${one#file:}" '{{folder["copy"]}}'; break; }; done
              printf '%s\n' "$@" > '{{folder["partly"]}}'; mv '{{folder["partly"]}}' '{{folder["arguments"]}}'
            fi
            exec "$FFMPEG" "$@"
            """);
        string tags;
        using (var writer = Mp4Writer.Open(
            folder["video.mp4"], 32, 32, 16, new Dictionary<string, string> { ["title"] = "a secret" }, tools, TestContext.Current.CancellationToken))
        {
            writer.WriteFrame(Clip.Noise(32, 32, 0));
            Assert.True(SpinWait.SpinUntil(() => File.Exists(folder["arguments"]), 10_000));
            var arguments = File.ReadAllText(folder["arguments"]);
            var (text, mode) = (File.ReadAllText(folder["copy"]), OperatingSystem.IsWindows() ? default : File.GetUnixFileMode(folder["copy"]));
            Assert.DoesNotContain("secret", arguments);
            tags = arguments.Split('\n').First(line => line.StartsWith("file:"))["file:".Length..];
            Assert.StartsWith(folder["video.mp4"], tags);
            Assert.EndsWith(".partial", tags);
            Assert.Contains("a secret", text);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, mode);
            // ffmpeg has its output open, and so has read the tags.
            Assert.True(SpinWait.SpinUntil(() => Directory.GetFiles(folder.Path, "video.mp4.*").Any(file => file != tags), 10_000));
            writer.WriteFrame(Clip.Noise(32, 32, 1));
            Assert.False(File.Exists(tags));
            writer.Complete();
        }

        Assert.False(File.Exists(tags));
    }

    private static void Feed(Mp4Writer writer, int frames)
    {
        for (var t = 0; t < frames; t++)
        {
            writer.WriteFrame(Clip.Noise(Width, Height, t));
        }
    }

    private static void AssertOneLine(TempFolder folder, NablaGenException error)
    {
        Assert.StartsWith($"{folder["video.mp4"]}: ffmpeg failed: ", error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    // The ffmpeg that writes into the folder, by its command line.
    private static int ProcessOf(TempFolder folder)
    {
        if (OperatingSystem.IsWindows())
        {
            return 0;
        }

        var found = Process.GetProcessesByName("ffmpeg").Where(process => CommandLine(process.Id).Contains(folder["video.mp4"])).ToList();
        return Assert.Single(found).Id;
    }

    private static string CommandLine(int id)
    {
        try
        {
            return File.ReadAllText($"/proc/{id}/cmdline");
        }
        catch (IOException)
        {
            return "";
        }
    }

    // Gone, and waited for: a zombie would still be listed.
    private static bool Ended(int id) => OperatingSystem.IsWindows() || SpinWait.SpinUntil(() => !Directory.Exists($"/proc/{id}"), 10_000);

    private static void Signal(int id, string signal) => Process.Start("kill", ["-" + signal, id.ToString()]).WaitForExit();
}
