using System.Text.Json;
using System.Text.RegularExpressions;
using NablaGen.Generation;
using NablaGen.Models;
using static TorchSharp.torch;

namespace NablaGen.Tests.Cli;

/// <summary>Several processes that make one video: how they end, together.</summary>
[Trait(Lane.Name, Lane.Commands)]
public sealed class RankCommandTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private static readonly Dictionary<string, string?> OnSockets = new() { ["NABLAGEN_RANK_SOCKETS"] = "1", ["NABLAGEN_RANK_STALL"] = "3" };

    private readonly TempFolder _folder = new();

    [Fact]
    public void Two_processes_make_the_video_of_one()
    {
        var run = NablaGenProcess.Run(
            ["generate", "--model", model.Path, "--prompt", "x", "--seed", "4", "--steps", "2", "--frames", "1", "--width", "144", "--height", "112", "--threshold", "0.5",
                "--guidance", "1", "--device", "cpu", "--gpus", "2", "-o", "two.png", "--log", "two.log"], _folder.Path, OnSockets);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal(["two.json", "two.latents.safetensors", "two.log", "two.png"], _folder.Files.Select(Path.GetFileName).Order());
        Assert.Single(Regex.Matches(File.ReadAllText(_folder["two.log"]), "^.* start ", RegexOptions.Multiline));

        using var scope = NewDisposeScope();
        var folder = ModelFamilies.Open(model.Path);
        var (latents, recipe) = LatentFile.Load(_folder["two.latents.safetensors"], folder);
        Assert.Equal("2 × cpu (guidance 1 × heads 2)", recipe.Device);
        using var pipeline = new TextToVideo(folder, CPU, ScalarType.Float32);
        pipeline.Generate(PartialRequest.Of(recipe).ToRequest(GenerationDefaults.Of(folder)), _folder["one.png"], cancellation: TestContext.Current.CancellationToken);
        Assert.True(LatentFile.Load(_folder["one.latents.safetensors"], folder).Latents.eq(latents).all().item<bool>());
    }

    [Theory]
    [InlineData("KILL $c", 1, @"^nablagen: rank 1 on .* \(process \d+\) ended: exit code 137 \(signal 9\)(, last line: .*)?\n$")]
    [InlineData("STOP $c", 1, @"^nablagen: rank 1 on .* \(process \d+\) (has given no sign of life for|hangs: others have waited for it for) 3 s\n$")]
    [InlineData("INT $p", 130, "^nablagen: stopping after this layer; Ctrl-C again ends now\nnablagen: cancelled\n$")]
    public void A_process_that_is_lost_and_a_signal_end_all(string signal, int code, string error)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "signals, and /proc");
        var start = Environment.TickCount64;
        var run = NablaGenProcess.Shell(
            $"$N generate --model '{model.Path}' --prompt x --steps 900 --frames 5 --width 64 --height 64 --device cpu --gpus 2 -o a.mp4 > quiet 2> out & p=$!; "
                + $"until grep -qs 'step 2/' out || ! kill -0 $p; do sleep 0.05; done; c=$(cat /proc/$p/task/$p/children /proc/$p/task/*/children | tr ' ' '\\n' | head -1); echo $c > child; kill -{signal}; wait $p", _folder.Path, OnSockets);
        Assert.Matches(error, NablaGenProcess.ErrorOf(File.ReadAllText(_folder["out"])));
        Assert.Equal(code, run.ExitCode);
        Assert.Equal(["child", "out", "quiet"], _folder.Files.Select(Path.GetFileName).Order());
        Assert.False(Directory.Exists($"/proc/{File.ReadAllText(_folder["child"]).Trim()}"));
        Assert.True(Environment.TickCount64 - start < 60_000);
    }

    [Fact]
    public void Two_groups_of_two_processes_make_a_batch_from_standard_input()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a shell's pipe");
        var run = NablaGenProcess.Shell(
            $"printf 'one\ntwo\n' | $N batch - {Small} -o out --json --log log", _folder.Path, new Dictionary<string, string?>(OnSockets) { ["NABLAGEN_RANK_SOCKETS"] = "4" });
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var events = run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement.GetProperty("event").GetString()!).ToList();
        Assert.Equal(("start", "end"), (events[0], events[^1]));
        Assert.Equal((2, 2), (events.Count(name => name == "row-start"), events.Count(name => name == "row-done")));
        Assert.All(["0001-one-s7", "0002-two-s7"], name => Assert.Equal("2 × cpu (guidance 1 × heads 2)", RecipeFile.Read(_folder[$"out/{name}.json"]).Device));
        Assert.Single(Regex.Matches(File.ReadAllText(_folder["log"]), "^.* start ", RegexOptions.Multiline));
        Assert.Matches(" group +2 of 2, until another is named\n", File.ReadAllText(_folder["log"]));
    }

    [Fact]
    public void A_lost_process_stops_a_batch_and_is_named()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "signals, and /proc");
        File.WriteAllText(_folder["a.txt"], "one\ntwo\n");
        var run = NablaGenProcess.Shell(
            $"$N batch a.txt {Small.Replace("--steps 1", "--steps 900")} -o out > log 2> error & p=$!; until grep -qs '^loading transformer' log || ! kill -0 $p; do sleep 0.05; done; "
                + "c=$(cat /proc/$p/task/$p/children /proc/$p/task/*/children | tr ' ' '\n' | head -1); kill -KILL $c; wait $p", _folder.Path, OnSockets);
        Assert.Equal(1, run.ExitCode);
        Assert.Matches(
            @"^nablagen: rank 1 on .* \(process \d+\) ended: exit code 137 \(signal 9\).*; this is not the row's fault, so the batch stops and 0001-one-s7 is not recorded as failed: mend it, and the same command goes on\n$",
            File.ReadAllText(_folder["error"]));
        Assert.Empty(Directory.GetFiles(_folder["out"]));
    }

    [Fact]
    public void A_batch_takes_no_ranks_of_torchrun()
    {
        File.WriteAllText(_folder["a.txt"], "one\n");
        var environment = new Dictionary<string, string?>(OnSockets) { ["RANK"] = "1", ["WORLD_SIZE"] = "2", ["LOCAL_RANK"] = "1", ["MASTER_PORT"] = "29500" };
        var run = NablaGenProcess.Shell($"$N batch a.txt {Small} -o out", _folder.Path, environment);
        Assert.Equal((2, "nablagen: --gpus: this command starts its own processes, one for each GPU: run it without torchrun, once on each machine\n"), (run.ExitCode, run.Error));
    }

    private string Small => $"--model '{model.Path}' --seed 7 --steps 1 --frames 1 --width 144 --height 64 --guidance 1 --device cpu --gpus 2";

    public void Dispose() => _folder.Dispose();
}
