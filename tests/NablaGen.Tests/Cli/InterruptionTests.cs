using System.Diagnostics;

namespace NablaGen.Tests.Cli;

/// <summary>Signals and broken surroundings: what is stopped or cut off leaves nothing behind and loses nothing.</summary>
[Trait(Lane.Name, Lane.Commands)]
public sealed class InterruptionTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData("HUP")]
    [InlineData("TERM")]
    [InlineData("INT")]
    public void A_signal_stops_in_good_order(string signal)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are sent with kill");
        var run = NablaGenProcess.Shell(
            $"$N generate --model '{model.Path}' --prompt x --steps 900 -o a.mp4 --log run.log --notify-command 'echo $NABLAGEN_STATUS > told' > quiet 2> out & p=$!; "
                + $"until grep -qs 'step 1/' out; do sleep 0.1; done; kill -{signal} $p; wait $p", _folder.Path);
        Assert.Equal(
            (130, "nablagen: stopping after this layer; Ctrl-C again ends now\nnablagen: cancelled\n"),
            (run.ExitCode, NablaGenProcess.ErrorOf(File.ReadAllText(_folder["out"]))));
        Assert.Equal("cancelled\n", File.ReadAllText(_folder["told"]));
        Assert.Contains("end      cancelled, exit code 130", File.ReadAllText(_folder["run.log"]));
        Assert.Equal(["out", "quiet", "run.log", "told"], _folder.Files.Select(file => Path.GetFileName(file)).Order());
    }

    [Fact]
    public void A_hung_up_terminal_that_is_to_be_ignored_is()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are sent with kill");
        var run = NablaGenProcess.Shell(
            $"trap '' HUP; ${{N#* * }} generate --model '{model.Path}' --prompt x --steps 40 --frames 1 --width 32 --height 32 -o a.png > quiet 2> out & p=$!; "
                + "until grep -qs 'step 1/' out; do sleep 0.1; done; kill -HUP $p; wait $p", _folder.Path);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.True(File.Exists(_folder["a.png"]));
    }

    [Fact]
    public void Work_that_does_not_look_up_is_ended_within_seconds()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a named pipe, and signals");
        // Reading a list that never comes sees no token.
        var watch = Stopwatch.StartNew();
        var run = NablaGenProcess.Shell(
            $"mkfifo a.txt; $N batch a.txt --model '{model.Path}' -o v --log run.log --notify-command 'echo $NABLAGEN_STATUS > told' & p=$!; "
                + "until [ -s run.log ]; do sleep 0.05; done; kill -TERM $p; wait $p", _folder.Path);
        Assert.Equal((130, "nablagen: stopping after this layer; Ctrl-C again ends now\nnablagen: cancelled\n"), (run.ExitCode, run.Error));
        Assert.Equal("cancelled\n", File.ReadAllText(_folder["told"]));
        Assert.InRange(watch.Elapsed.TotalSeconds, 3, 60);
    }

    [Fact]
    public void An_ffmpeg_that_breaks_stops_the_batch_and_is_no_rows_fault()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in for ffmpeg is a shell script");
        File.WriteAllText(_folder["a.txt"], "one\ntwo\nthree\n");
        Directory.CreateDirectory(_folder["f"]);
        // The trial frame before the work is 256 x 256.
        File.WriteAllText(_folder["f/ffmpeg"],
            $"#!/bin/sh\ncase \"$*\" in *'-video_size 32x32'*) echo 'No space left on device' >&2; exit 1 ;; esac; exec '{NablaGen.Video.FfmpegTools.Find().Ffmpeg}' \"$@\"\n");
        var line = $"$N batch a.txt --model '{model.Path}' -o v --steps 1 --frames 5 --width 32 --height 32 --guidance 1";
        var broken = NablaGenProcess.Shell($"chmod +x f/ffmpeg; NABLAGEN_FFMPEG=f {line}", _folder.Path);
        Assert.Equal(1, broken.ExitCode);
        Assert.Equal(1, broken.Error.Count(c => c == '\n'));
        Assert.Contains("not the row's fault", broken.Error);
        Assert.False(File.Exists(_folder["v/manifest.jsonl"]) && File.ReadAllText(_folder["v/manifest.jsonl"]).Length > 0);
        Assert.Single(_folder.Files, file => file.EndsWith(".safetensors"));
        Assert.DoesNotContain(_folder.Files, file => file.EndsWith(".partial") || file.EndsWith(".claim"));

        var whole = NablaGenProcess.Shell(line, _folder.Path);
        Assert.Equal((0, ""), (whole.ExitCode, whole.Error));
        Assert.Contains("3 made, 0 skipped, 0 failed", whole.Output);
    }

    [Fact]
    public void Latents_that_cannot_be_saved_do_not_take_the_video_with_them()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.UserName == "root", "mounts a small disk");
        var run = NablaGenProcess.Shell(
            $"mkdir d && mount -t tmpfs -o size=64k tmpfs d || exit 77; $N generate --model '{model.Path}' --prompt x --steps 200 --frames 5 --width 32 --height 32 --guidance 1 "
                + "-o a.mp4 --latents d/l.safetensors > quiet 2> out & p=$!; until grep -qs 'step 1/' out; do sleep 0.05; done; head -c 65536 /dev/zero > d/fill 2>/dev/null; wait $p; c=$?; umount d; exit $c",
            _folder.Path);
        Assert.SkipWhen(run.ExitCode == 77, "nothing may be mounted here");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.True(File.Exists(_folder["a.mp4"]));
        Assert.Contains("note: the latents are not saved", File.ReadAllText(_folder["out"]));
    }

    [Fact]
    public void Room_is_looked_at_before_the_work()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.UserName == "root", "mounts a small disk");
        File.WriteAllText(_folder["a.txt"], "one\ntwo\n");
        var run = NablaGenProcess.Shell(
            "mkdir d && mount -t tmpfs -o size=4k tmpfs d || exit 77; "
                + $"$N batch a.txt --model '{model.Path}' -o d --steps 1 --frames 17 --width 128 --height 128; c=$?; umount d; exit $c", _folder.Path);
        Assert.SkipWhen(run.ExitCode == 77, "nothing may be mounted here");
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("are free there: make room", run.Error);
        Assert.DoesNotContain("encoding text", run.Output + run.Progress);
    }

    [Fact]
    public void A_file_system_that_becomes_read_only_stops_the_batch_and_fails_no_row()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.UserName == "root", "mounts a small disk");
        File.WriteAllText(_folder["a.txt"], "one\ntwo\nthree\n");
        var line = $"$N batch a.txt --model '{model.Path}' -o d/v --steps 40 --frames 1 --width 32 --height 32 --guidance 1";
        var run = NablaGenProcess.Shell(
            $"mkdir d && mount -t tmpfs -o size=4m tmpfs d || exit 77; {line} > out & p=$!; until [ -s d/v/manifest.jsonl ] || ! kill -0 $p; do sleep 0.05; done; "
                + "until mount -o remount,ro d 2>/dev/null; do sleep 0.01; done; wait $p; c=$?; mount -o remount,rw d; "
                + $"{line} > again; echo $? >> again; cp -r d/v kept; umount d; exit $c", _folder.Path);
        Assert.SkipWhen(run.ExitCode == 77, "nothing may be mounted here");
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("Read-only file system", run.Error);
        Assert.EndsWith(" failed; in d/v\n0\n", File.ReadAllText(_folder["again"]));
        Assert.DoesNotContain("failed", File.ReadAllText(_folder["kept/manifest.jsonl"]));
        Assert.Equal(3, Directory.GetFiles(_folder["kept"], "*.png").Length);
    }

    [Fact]
    public void A_limit_on_the_size_of_files_is_an_error_and_leaves_no_half_file()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "ulimit");
        // .NET's second mapping of its code is a file of hundreds of megabytes.
        var run = NablaGenProcess.Shell(
            $"ulimit -f 2; DOTNET_EnableWriteXorExecute=0 $N generate --model '{model.Path}' --prompt x --steps 1 --frames 5 --width 32 --height 32 --guidance 1 -o a.mp4", _folder.Path);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("File too large", run.Error);
        Assert.Empty(_folder.Files);
    }

    public void Dispose() => _folder.Dispose();
}
