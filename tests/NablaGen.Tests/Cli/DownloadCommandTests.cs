using NablaGen.Cli.Output;
using NablaGen.Hub;
using NablaGen.Tests.Hub;

namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public sealed class DownloadCommandTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public void An_interrupted_download_ends_with_130_and_goes_on()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are sent with kill");
        var bytes = HubServer.Bytes(20_000_000);
        using var server = new HubServer(("lora.safetensors", bytes), ("README.md", [1]));
        // The second of its parts does not come.
        server.Answer = request => request is { IsOfFile: true, From: >= 16 << 20 } ? new HubAnswer(503) { Headers = ["Retry-After: 300"] } : null;
        var environment = new Dictionary<string, string?> { ["HF_ENDPOINT"] = server.Address.AbsoluteUri, ["HF_TOKEN"] = "hf_mine" };
        var run = NablaGenProcess.Shell(
            "$N download own/model --log run.log & p=$!; until grep -q 503 run.log 2> none && [ -s model/lora.safetensors.download ]; do sleep 0.1; done; sleep 0.5; kill -INT $p; wait $p",
            _folder.Path, environment);
        Assert.Equal((130, "nablagen: stopping; Ctrl-C again ends now\nnablagen: cancelled\n"), (run.ExitCode, run.Error));
        Assert.Contains("licence apache-2.0", run.Output);
        Assert.Contains("19.1 MiB in 1 file", run.Output);
        Assert.False(File.Exists(_folder["model/lora.safetensors"]));

        server.Answer = _ => null;
        var before = server.FileRequests.Count;
        run = NablaGenProcess.Run(["download", "own/model"], _folder.Path, environment);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("going on: ", run.Output);
        Assert.Contains("whole and right: lora.safetensors", run.Output);
        Assert.Equal(bytes, File.ReadAllBytes(_folder["model/lora.safetensors"]));
        Assert.Equal(["lora.safetensors"], Directory.EnumerateFileSystemEntries(_folder["model"]).Select(Path.GetFileName));
        Assert.InRange(server.FileRequests.Skip(before).Sum(request => request.To!.Value + 1 - request.From!.Value), 1, bytes.Length - 1);
        Assert.All(server.Requests, request => Assert.Equal("Bearer hf_mine", request.Authorization));
    }

    [Fact]
    public void Names_are_listed_and_a_wrong_one_is_wrong_usage()
    {
        var list = NablaGenProcess.Run(["download"]);
        Assert.Equal((0, ""), (list.ExitCode, list.Error));
        Assert.Contains("wan2.1-1.3b ", list.Output);
        Assert.Contains("Wan-AI/Wan2.2-TI2V-5B", list.Output);
        var wrong = NablaGenProcess.Run(["download", "wan9"]);
        Assert.Equal((2, ""), (wrong.ExitCode, wrong.Output));
        Assert.StartsWith("nablagen: 'wan9' is no short name of a model and no repository: expected one of wan2.1-1.3b, ", wrong.Error);
    }

    [Fact]
    public void The_rate_is_that_of_the_last_seconds()
    {
        var rate = new DownloadRate();
        Assert.Null(rate.PerSecond);
        rate.Add(TimeSpan.Zero, 0);
        rate.Add(TimeSpan.FromSeconds(10), 1000);
        Assert.Equal(100, rate.PerSecond);
        rate.Add(TimeSpan.FromSeconds(20), 11_000);
        Assert.Equal(1000, rate.PerSecond);
        rate.Add(TimeSpan.FromSeconds(30), 11_000);
        rate.Add(TimeSpan.FromSeconds(40), 11_000);
        Assert.Null(rate.PerSecond);
    }

    [Fact]
    public void Each_note_is_shown_once()
    {
        var lines = new List<string>();
        var progress = DownloadProgress.Plain(lines.Add);
        progress.OnStart(3 << 20, 1 << 20);
        progress.OnNote("x: waiting 3 s");
        progress.OnNote("x: waiting 3 s");
        progress.OnFile(new HubFile("a/b", "c", "d/e\u001b[2J", 2 << 20, ContentHash.Parse(new string('a', 64))!));
        Assert.Equal(["going on: 1.0 MiB of 3.0 MiB are here", "note: x: waiting 3 s", "whole and right: d/e [2J (2.0 MiB, SHA-256 aaaaaaaaaaaa…)"], lines);
    }

    public void Dispose() => _folder.Dispose();
}
