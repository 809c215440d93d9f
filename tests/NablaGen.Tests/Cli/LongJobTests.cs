using NablaGen.Cli;
using NablaGen.Cli.Output;
using NablaGen.Memory;
using NablaGen.Models;

namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public sealed class LongJobTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private readonly TempFolder _folder = new();

    private static readonly MemoryPlan Plan = new()
    {
        Budget = 1L << 30,
        IsTextEncoderOnDevice = true,
        Layers = 0,
        ResidentLayers = 0,
        Slots = 0,
        KeepsBoth = false,
        KeepsAll = false,
        Vae = new VaeChoice(VaeTiling.None, 1L << 20),
        Peaks = new Dictionary<GenerationStage, long> { [GenerationStage.Decode] = 1L << 20 },
        HostBytes = 0,
    };

    // Writes what it is told into a file.
    private string Tell => OperatingSystem.IsWindows()
        ? $"echo %NABLAGEN_STATUS%;%NABLAGEN_EXIT_CODE%;%NABLAGEN_OUTPUT%;%NABLAGEN_ERROR%;%NABLAGEN_COMMAND% > {_folder["told"]}"
        : $"echo \"$NABLAGEN_STATUS;$NABLAGEN_EXIT_CODE;$NABLAGEN_OUTPUT;$NABLAGEN_ERROR;$NABLAGEN_COMMAND\" > '{_folder["told"]}'";

    [Fact]
    public void A_finished_run_is_told_and_logged_and_logs_are_appended()
    {
        for (var i = 0; i < 2; i++)
        {
            var run = Generate("--prompt", "a b", "--steps", "2", "--seed", "1", "--log", _folder["sub/run.log"], "--notify-command", Tell);
            Assert.Equal((0, ""), (run.ExitCode, run.Error));
        }

        Assert.Equal($"done;0;{_folder["a.mp4"]};;generate", File.ReadAllText(_folder["told"]).Trim());
        var lines = File.ReadAllLines(_folder["sub/run.log"]);
        Assert.All(lines, line => Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [a-z]+ +\S", line));
        string[] kinds = ["start", "command", "request", "stage", "stage", "stage", "stage", "estimate", "step", "step", "stage", "recipe", "video", "end"];
        Assert.Equal([.. kinds, .. kinds], lines.Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]));
        Assert.Contains(NablaGenVersion.Text, lines[0]);
        Assert.Contains("--prompt \"a b\"", lines[1]);
        Assert.Contains("\"seed\":1", lines[11]);
        Assert.Contains("done, exit code 0", lines[13]);
    }

    [Fact]
    public void A_failed_run_is_told_with_its_reason_and_the_log_has_the_stack()
    {
        var run = NablaGenCommand.Run(["generate", "--prompt", "x", "--model", _folder["none"], "--log", _folder["run.log"], "--notify-command", Tell]);
        Assert.Equal(1, run.ExitCode);
        Assert.Equal($"failed;1;;{_folder["none"]}: no such model folder.;generate", File.ReadAllText(_folder["told"]).Trim());
        var log = File.ReadAllText(_folder["run.log"]);
        Assert.Contains("NablaGen.NablaGenException", log);
        Assert.Contains("   at NablaGen.", log);
        Assert.Contains("failed, exit code 1", log);
        Assert.DoesNotContain("   at ", run.Error);
    }

    [Fact]
    public void A_cancelled_run_is_told()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are sent with kill");
        using var process = NablaGenProcess.Start(
            ["generate", "--prompt", "x", "--model", model.Path, "--steps", "500", "--output", _folder["a.mp4"], "--notify-command", Tell]);
        for (var line = ""; !line!.Contains("step 1/"); line = process.StandardError.ReadLine())
        {
            Assert.NotNull(line);
        }

        System.Diagnostics.Process.Start("kill", ["-INT", $"{process.Id}"]).WaitForExit();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(130, process.ExitCode);
        Assert.Equal("cancelled;130;;cancelled;generate", File.ReadAllText(_folder["told"]).Trim());
    }

    [Fact]
    public void What_fails_because_the_run_is_cancelled_is_cancelled()
    {
        Assert.Equal((130, "cancelled"), CommandRunner.Explain(new NablaGenException("ffmpeg failed"), cancelled: true));
        Assert.Equal((1, "ffmpeg failed"), CommandRunner.Explain(new NablaGenException("ffmpeg failed"), cancelled: false));
        Assert.Equal((2, "too wide"), CommandRunner.Explain(new InvalidRequestException("too wide"), cancelled: false));
    }

    [Fact]
    public void A_command_that_fails_is_a_warning_only()
    {
        var run = Generate("--prompt", "x", "--steps", "1", "--notify-command", "echo sent; exit 3");
        Assert.Equal(0, run.ExitCode);
        Assert.Equal("sent\nnablagen: --notify-command: exit code 3\n", run.Error);
        Assert.DoesNotContain("sent", run.Output);
    }

    [Fact]
    public void A_command_that_hangs_is_ended()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "sleep");
        var watch = System.Diagnostics.Stopwatch.StartNew();
        Assert.Contains("ended after 1 s", Notification.Run("sleep 600", new Dictionary<string, string>(), TimeSpan.FromSeconds(1)));
        Assert.InRange(watch.Elapsed.TotalSeconds, 1, 300);
    }

    [Fact]
    public void A_command_that_leaves_something_running_is_not_waited_for()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "sleep");
        var watch = System.Diagnostics.Stopwatch.StartNew();
        Assert.Null(Notification.Run("sleep 300 & true", new Dictionary<string, string>()));
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 200);
    }

    [Fact]
    public void A_logged_run_shows_what_one_without_a_log_does()
    {
        var shown = new StringWriter();
        using (var log = new RunLog(_folder["run.log"]))
        {
            var progress = new LoggedProgress(new PlainProgress(shown), log);
            progress.OnPlan(Plan);
            progress.OnCut(string.Concat(Enumerable.Repeat("猫\n", 50)), 70, 64);
        }

        var lines = shown.ToString().ReplaceLineEndings("\n").TrimEnd().Split('\n');
        Assert.Equal(3, lines.Length);
        Assert.Equal("plan: the VAE in whole frames", lines[0]);
        Assert.StartsWith("note: the model reads the first 64 of this prompt's 70 tokens: \"猫 猫 ", lines[2]);
        Assert.Equal(
            lines.Select(line => line.Split(": ", 2)[1]),
            File.ReadAllLines(_folder["run.log"]).Select(line => line.Split(' ', 3, StringSplitOptions.RemoveEmptyEntries)[2]));
    }

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("two words", "\"two words\"")]
    [InlineData("a \"b\"", "\"a \\\"b\\\"\"")]
    [InlineData("", "\"\"")]
    public void Arguments_are_logged_as_they_are_typed(string argument, string expected)
    {
        Assert.Equal(expected, LongJob.Quoted(argument));
    }

    [Fact]
    public void A_log_that_cannot_be_written_is_found_before_any_work()
    {
        var run = Generate("--prompt", "x", "--log", _folder.Path);
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Contains("the log cannot be written", run.Error);
    }

    public void Dispose() => _folder.Dispose();

    private NablaGenProcess Generate(params string[] flags) =>
        NablaGenCommand.Run(["generate", "--model", model.Path, "--output", _folder["a.mp4"], .. flags]);
}
