using System.Diagnostics;
using NablaGen.Generation;
using NablaGen.Video;

namespace NablaGen.Tests.Cli;

/// <summary>What a user meets of ffmpeg's troubles.</summary>
[Trait(Lane.Name, Lane.Commands)]
public sealed class FfmpegCommandTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData("ffmpeg", "generate", "--prompt", "x")]
    [InlineData("ffprobe", "generate", "--from", "made.mp4")]
    [InlineData("ffmpeg", "compare", "--prompt", "x")]
    [InlineData("ffmpeg", "doctor")]
    [InlineData("ffprobe", "doctor")]
    public void A_signal_ends_a_command_whose_ffmpeg_hangs(string program, string command, params string[] flags)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in is a shell script, and signals are sent with kill");
        if (flags.Contains("--from"))
        {
            Assert.Equal(0, Run("generate", "--prompt", "x", "--output", "made.mp4").ExitCode);
        }

        StandIn(program, $"touch '{_folder["hangs"]}'; exec sleep 300");
        using var process = NablaGenProcess.Start(
            [command, .. flags, "--model", model.Path], _folder.Path, new Dictionary<string, string?> { ["NABLAGEN_FFMPEG"] = _folder["bin"] });
        Assert.True(SpinWait.SpinUntil(() => File.Exists(_folder["hangs"]), 60_000));
        var clock = Stopwatch.StartNew();
        Process.Start("kill", ["-TERM", $"{process.Id}"]).WaitForExit();
        process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(20_000));

        Assert.Equal(130, process.ExitCode);
        Assert.InRange(clock.Elapsed.TotalSeconds, 0, 10);
        // Doctor has no layers to finish.
        var first = command == "doctor" ? "" : " after this layer";
        Assert.Equal($"nablagen: stopping{first}; Ctrl-C again ends now\nnablagen: cancelled\n", NablaGenProcess.ErrorOf(process.StandardError.ReadToEnd()));
        Assert.DoesNotContain(_folder.Files, file => file.EndsWith(".partial"));
    }

    [Fact]
    public void The_temporary_folder_is_of_no_matter_and_nothing_is_left_in_it()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "TMPDIR is Unix's");
        var temporary = Directory.CreateDirectory(_folder["a \"quoted' $(folder) that is far longer than the path of a socket may be " + new string('x', 120)]).FullName;
        var run = RunIn(new() { ["TMPDIR"] = temporary }, "generate", "--prompt", "x", "--output", "a.mp4");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal(5, VideoProbe.Read(_folder["a.mp4"]).FrameCount);
        Assert.DoesNotContain(Directory.GetFiles(temporary), file => !Path.GetFileName(file).StartsWith("clr-debug-pipe") && !Path.GetFileName(file).StartsWith("dotnet-diagnostic"));
    }

    [Theory]
    [InlineData("case \"$*\" in *-encoders* | *-version*) exec \"$real\" \"$@\" ;; esac; exit 127", "it ended with exit code 127 and said nothing")]
    [InlineData("echo 'ffmpeg: error while loading shared libraries: libx.so.5: cannot open shared object file' >&2; exit 127", "error while loading shared libraries")]
    public void Doctor_encodes_a_frame_as_generate_does(string script, string expected)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in is a shell script");
        StandIn("ffmpeg", script);
        var environment = new Dictionary<string, string?> { ["NABLAGEN_FFMPEG"] = _folder["bin"], ["COLUMNS"] = "500" };
        var doctor = RunIn(environment, "doctor");
        Assert.Equal(1, doctor.ExitCode);
        Assert.Contains("FAIL  ffmpeg", doctor.Output);
        Assert.Contains(expected, doctor.Output.ReplaceLineEndings(" ").Replace("  ", ""));
        var generate = RunIn(environment, "generate", "--prompt", "x", "--output", "a.mp4");
        Assert.Equal(1, generate.ExitCode);
        Assert.Contains(expected, generate.Error);
        Assert.DoesNotContain(_folder.Files, file => file.EndsWith(".partial") || file.EndsWith(".mp4"));
    }

    [Fact]
    public void A_video_is_on_the_disk_before_it_has_its_name()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists("/usr/bin/strace"), "needs strace");
        Assert.Equal(0, Run("generate", "--prompt", "x", "--output", "a.mp4").ExitCode);
        string[] arguments =
        [
            "-f", "--seccomp-bpf", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "-o", _folder["calls"],
            "dotnet", Path.Combine(AppContext.BaseDirectory, "nablagen.dll"), "decode", _folder["a.latents.safetensors"], "--model", model.Path, "--output", _folder["b.mp4"],
        ];
        using var strace = Process.Start(new ProcessStartInfo("strace", arguments) { RedirectStandardOutput = true })!;
        strace.StandardOutput.ReadToEnd();
        strace.WaitForExit();
        Assert.SkipUnless(strace.ExitCode == 0, "strace may not be used here");

        var calls = File.ReadAllLines(_folder["calls"]).ToList();
        var named = calls.FindIndex(call => call.Contains("rename") && call.Contains("b.mp4\""));
        var flushed = calls.FindIndex(call => call.Contains("sync(") && call.Contains("/b.mp4."));
        Assert.InRange(flushed, 0, named - 1);
    }

    [Fact]
    public void A_prompt_may_begin_with_an_at_sign()
    {
        File.WriteAllText(_folder["cat"], "dog");
        Directory.CreateDirectory(_folder["home"]);
        foreach (var prompt in new[] { "@cat", "@home", "@nothing" })
        {
            var run = Run("generate", "--prompt", prompt, "--frames", "1", "--output", "a.png");
            Assert.Equal((0, ""), (run.ExitCode, run.Error));
            Assert.Equal(prompt, RecipeFile.Read(_folder["a.png"]).Prompt);
        }
    }

    public void Dispose() => _folder.Dispose();

    private NablaGenProcess Run(params string[] arguments) => RunIn(new Dictionary<string, string?>(), arguments);

    private NablaGenProcess RunIn(Dictionary<string, string?> environment, params string[] arguments) =>
        NablaGenCommand.Run([.. arguments, "--model", model.Path], _folder.Path, environment);

    // A folder with both programs, of which one does something else first; $real is the real one.
    private void StandIn(string program, string script)
    {
        Directory.CreateDirectory(_folder["bin"]);
        var tools = FfmpegTools.Find();
        foreach (var (name, real) in new[] { ("ffmpeg", tools.Ffmpeg), ("ffprobe", tools.Ffprobe!) })
        {
            var path = Path.Combine(_folder["bin"], name);
            File.WriteAllText(path, $"#!/bin/bash\nreal='{real}'\n{(name == program ? script : "")}\nexec \"$real\" \"$@\"\n");
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
        }
    }
}
