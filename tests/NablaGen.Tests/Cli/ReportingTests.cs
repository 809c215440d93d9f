using System.Diagnostics;
using NablaGen.Cli.Output;

namespace NablaGen.Tests.Cli;

/// <summary>Reporting never ends work: whatever becomes of terminal, log and error stream, the videos are made.</summary>
[Trait(Lane.Name, Lane.Commands)]
public sealed class ReportingTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private const string Still = "--steps 2 --frames 1 --width 32 --height 32 --guidance 1 --seed 1";

    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData(">/dev/full", 1)]
    [InlineData(">&-", 1)]
    [InlineData(">&- 2>&-", 0)]
    [InlineData(">/dev/full 2>/dev/full", 0)]
    public void Generate_goes_on_without_its_output(string redirection, int mostLines)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a shell's redirections");
        var run = NablaGenProcess.Shell($"$N generate --model '{model.Path}' --prompt x {Still} -o a.png {redirection}", _folder.Path);
        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Equal("", run.Output);
        Assert.InRange(run.Error.Count(c => c == '\n'), redirection.StartsWith(">/dev/full", StringComparison.Ordinal) ? mostLines : 0, mostLines);
        Assert.True(run.Error.Length == 0 || run.Error.StartsWith("nablagen: standard output cannot be written (", StringComparison.Ordinal), run.Error);
        Assert.True(File.Exists(_folder["a.png"]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("--json")]
    public void Each_row_of_a_batch_is_made_and_recorded_once(string flags)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a shell's redirections");
        File.WriteAllText(_folder["a.txt"], "a\nb\nc\n");
        var run = NablaGenProcess.Shell($"$N batch a.txt --model '{model.Path}' {Still} -o v {flags} --log /dev/full >/dev/full", _folder.Path);
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("standard output cannot be written", run.Error);
        Assert.Contains("/dev/full: the log ends here", run.Error);
        Assert.Equal(2, run.Error.Count(c => c == '\n'));
        var lines = File.ReadAllLines(_folder["v/manifest.jsonl"]);
        Assert.Equal(3, lines.Length);
        Assert.All(lines, line => Assert.Contains("\"done\"", line));
        var again = NablaGenCommand.Run(["batch", "a.txt", "--model", model.Path, .. Still.Split(' '), "-o", "v"], _folder.Path);
        Assert.Equal(0, again.ExitCode);
        Assert.Contains("0 made, 3 skipped", again.Output);
    }

    [Fact]
    public void An_error_that_cannot_be_printed_is_still_an_error()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a shell's redirections");
        var run = NablaGenProcess.Shell("$N generate -p '' 2>/dev/full", _folder.Path);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("the error stream cannot be written", run.Output);
    }

    [Fact]
    public void A_stream_that_fails_is_left_and_the_other_says_so_once()
    {
        var other = new StringWriter();
        using var writer = new SteadyWriter("standard output", () => new FailingWriter(), () => other);
        writer.WriteLine("a");
        writer.Write('b');
        writer.Flush();
        Assert.Equal($"nablagen: standard output cannot be written (gone); the work goes on without{Environment.NewLine}", other.ToString());
    }

    [Fact]
    public void A_strangers_text_gives_the_terminal_no_orders()
    {
        Assert.Equal("a\nb\tc\r\nd [2Je f g", PlainWriter.Plain("a\nb\tc\r\nd\u001b[2Je\rf\u009bg"));
        var run = NablaGenCommand.Run(["generate", "--prompt", "x", "--model", "\u001b[31mnone\u0007"], _folder.Path);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("no such model folder", run.Error);
        Assert.DoesNotContain('\u001b', run.Error + run.Output);
    }

    [Fact]
    public void A_terminal_of_a_column_or_two_does_not_stop_the_work()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists("/usr/bin/script"), "a terminal is made with script");
        foreach (var columns in new[] { 1, 2, 80 })
        {
            var watch = Stopwatch.StartNew();
            var run = NablaGenProcess.Shell(
                $"TERM=xterm timeout -k 1 200 script -qec \"stty cols {columns}; $N generate --model '{model.Path}' --prompt x {Still} -o {columns}.png\" /dev/null", _folder.Path);
            Assert.True(run.ExitCode == 0 && File.Exists(_folder[$"{columns}.png"]), $"{columns} columns, {watch.Elapsed}: exit code {run.ExitCode}: {run.Output}");
        }
    }

    public void Dispose() => _folder.Dispose();

    private sealed class FailingWriter : StringWriter
    {
        public override void Write(string? value) => throw new IOException("gone");

        public override void Write(char value) => throw new IOException("gone");
    }
}
