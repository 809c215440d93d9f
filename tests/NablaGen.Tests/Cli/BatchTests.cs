using System.Diagnostics;
using System.Text.Json;
using NablaGen.Video;

namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public sealed class BatchTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private static readonly string[] Small = ["--width", "32", "--height", "32", "--guidance", "1"];

    private readonly TempFolder _folder = new();

    [Fact]
    public void A_file_becomes_videos_and_lines()
    {
        File.WriteAllText(_folder["my prompts.csv"], "prompt,frames,seed\n\"A red ball, rolling\",5,42\n猫,1,\n");
        var run = Batch("my prompts.csv", "--steps", "1");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal(5, VideoProbe.Read(Path.Combine(Out, "0001-a-red-ball-rolling-s42.mp4")).FrameCount);
        Assert.Single(Directory.GetFiles(Out, "0002-猫-s*.png"));
        Assert.StartsWith("2 rows: 2 to make, 0 done before\n", run.Output);
        Assert.Contains("\n[1/2] 0001-a-red-ball-rolling-s42: done in ", run.Output);
        Assert.EndsWith($"2 rows: 2 made, 0 skipped, 0 failed; in {Out}\n", run.Output);

        // The same again, as a cluster's first task of two, for a program.
        var cluster = new Dictionary<string, string?> { ["JOB_COMPLETION_INDEX"] = "0", ["NABLAGEN_SHARD_COUNT"] = "2" };
        var again = Batch("my prompts.csv", cluster, "--steps", "1", "--json");
        Assert.Equal(0, again.ExitCode);
        var events = Events(again.Output);
        Assert.Equal(["start", "row-skipped", "end"], events.Select(Name));
        Assert.Equal("1/2", events[0].GetProperty("shard").GetString());
        Assert.Equal("JOB_COMPLETION_INDEX=0", events[0].GetProperty("shard_source").GetString());
    }

    [Fact]
    public void A_failed_row_is_exit_code_1_and_the_rest_is_made()
    {
        File.WriteAllText(_folder["a.txt"], "one\ntwo\n");
        Directory.CreateDirectory(Path.Combine(Out, "0001-one-s5.png"));
        var tell = OperatingSystem.IsWindows() ? "echo %NABLAGEN_ERROR%;%NABLAGEN_OUTPUT%" : "echo \"$NABLAGEN_ERROR;$NABLAGEN_OUTPUT\"";
        var run = Batch("a.txt", "--steps", "1", "--frames", "1", "--seed", "5", "--log", _folder["run.log"], "--notify-command", $"{tell} > told");
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("0001-one-s5: failed: ", run.Output);
        Assert.Equal($"nablagen: 1 of 2 rows failed; the manifest in {Out} says why, --retry-failed makes them again\n", run.Error);
        Assert.True(File.Exists(Path.Combine(Out, "0002-two-s5.png")));
        Assert.StartsWith($"1 of 2 rows failed; the manifest in {Out} says why, ", File.ReadAllText(_folder["told"]));
        Assert.EndsWith($";{Out}", File.ReadAllText(_folder["told"]).TrimEnd());

        var log = File.ReadAllText(_folder["run.log"]);
        string[] kinds = ["start", "command", "batch", "stage", "stage", "row", "error", "row", "stage", "stage", "estimate", "step", "stage", "recipe", "video", "batch", "end"];
        Assert.Equal(kinds, log.Split('\n').Where(line => line.StartsWith("20", StringComparison.Ordinal)).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]));
        Assert.Contains("row      0001-one-s5, a.txt:1: one\n", log);
        Assert.Contains("error    0001-one-s5: NablaGen.NablaGenException: ", log);
        Assert.Contains("   at NablaGen.", log);
        Assert.Contains("failed, exit code 1, ", log);
    }

    [Theory]
    [InlineData("steps must be from 1 to 1000, found 0", "--steps", "0")]
    [InlineData("--seeds and --repeat both", "--seeds", "1-4", "--repeat", "2")]
    [InlineData("shard '3/2'", "--shard", "3/2")]
    public void Wrong_usage_is_one_line_and_exit_code_2(string expected, params string[] flags)
    {
        File.WriteAllText(_folder["a.txt"], "one\n");
        var run = Batch("a.txt", flags);
        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith("nablagen: " + expected, run.Error);
        Assert.False(Directory.Exists(Out));
    }

    [Fact]
    public void Interrupted_it_exits_with_130_and_leaves_nothing_half()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are sent with kill");
        File.WriteAllText(_folder["a.txt"], "one\n");
        using var process = Start("a.txt", "--frames", "1", "--steps", "1000", "--log", _folder["run.log"]);
        Until(process, "row-start");
        Process.Start("kill", ["-INT", $"{process.Id}"]).WaitForExit();
        var rest = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(130, process.ExitCode);
        Assert.Equal("cancelled", Events(rest)[^1].GetProperty("state").GetString());
        Assert.Empty(Directory.GetFiles(Out, "*", SearchOption.AllDirectories));
        Assert.Contains($"1 row: 0 made, 0 skipped, 0 failed; in {Out}; 1 left, which the same command again makes\n", File.ReadAllText(_folder["run.log"]));
    }

    [Fact]
    public async Task Three_at_once_with_one_killed_and_started_again_make_each_row_once()
    {
        const int Rows = 8;
        File.WriteAllText(_folder["a.txt"], string.Join('\n', Enumerable.Range(1, Rows).Select(i => $"prompt {i}")));
        string[] flags = ["--frames", "1", "--steps", "5"];
        using var victim = Start("a.txt", flags);
        using var second = Start("a.txt", flags);
        using var third = Start("a.txt", flags);
        var others = new List<Task<string>> { second.StandardOutput.ReadToEndAsync(), third.StandardOutput.ReadToEndAsync() };
        Until(victim, "row-start");
        victim.Kill();
        var output = await victim.StandardOutput.ReadToEndAsync();
        victim.WaitForExit();
        using var again = Start("a.txt", flags);
        others.Add(again.StandardOutput.ReadToEndAsync());
        var outputs = await Task.WhenAll(others);
        foreach (var process in new[] { second, third, again })
        {
            process.WaitForExit();
            Assert.Equal("", process.StandardError.ReadToEnd());
            Assert.Equal(0, process.ExitCode);
        }

        var lines = File.ReadLines(Path.Combine(Out, "manifest.jsonl")).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(Enumerable.Range(1, Rows), lines.Select(line => line.GetProperty("row").GetInt32()).Order());
        Assert.All(lines, line => Assert.Equal("done", line.GetProperty("state").GetString()));
        Assert.All(lines, line => Assert.Equal(
            line.GetProperty("bytes").GetInt64(), new FileInfo(Path.Combine(Out, line.GetProperty("video").GetString()!)).Length));
        Assert.Equal(Rows, Events(string.Join('\n', outputs)).Count(line => Name(line) == "row-done") + output.Split("\"row-done\"").Length - 1);
        Assert.Equal(Rows, Directory.GetFiles(Out, "*.png").Length);
        Assert.DoesNotContain(_folder.Files, file => file.EndsWith(".partial") || file.EndsWith(".claim"));
    }

    public void Dispose() => _folder.Dispose();

    private string Out => _folder["out"];

    private static string Name(JsonElement line) => line.GetProperty("event").GetString()!;

    private static List<JsonElement> Events(string output) =>
        [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];

    private static void Until(Process process, string name)
    {
        string? line;
        do
        {
            line = process.StandardOutput.ReadLine();
            Assert.NotNull(line);
        }
        while (!line.Contains($"\"{name}\""));
    }

    private NablaGenProcess Batch(string file, params string[] flags) => Batch(file, null, flags);

    private NablaGenProcess Batch(string file, IReadOnlyDictionary<string, string?>? environment, params string[] flags) =>
        NablaGenCommand.Run(["batch", file, "--output-dir", Out, "--model", model.Path, .. Small, .. flags], _folder.Path, environment);

    private Process Start(string file, params string[] flags) =>
        NablaGenProcess.Start(["batch", file, "--output-dir", Out, "--model", model.Path, "--json", .. Small, .. flags], _folder.Path);
}
