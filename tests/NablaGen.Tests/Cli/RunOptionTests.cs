using System.Text.Json;

namespace NablaGen.Tests.Cli;

/// <summary>How a run is told, what it would take, presets, and the help by groups.</summary>
[Trait(Lane.Name, Lane.Commands)]
public sealed class RunOptionTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private const string Small = "--steps 2 --frames 1 --width 32 --height 32 --guidance 1 --seed 1";

    private readonly TempFolder _folder = new();

    [Fact]
    public void Json_is_an_event_a_line_and_progress_goes_to_the_error_stream()
    {
        var json = Run($"echo 'a ball ' | $N generate --prompt - {Small} -o a.png --json --discard-latents --model '{model.Path}'");
        Assert.Equal((0, "", ""), (json.ExitCode, json.Error, json.Progress));
        var events = json.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.All(["start", "stage", "estimate", "progress", "done", "end"], name => Assert.Contains(events, one => Name(one) == name));
        var done = events.Single(one => Name(one) == "done");
        Assert.Equal(("a.png", JsonValueKind.Null), (done.GetProperty("video").GetString(), done.GetProperty("latents").ValueKind));
        Assert.Equal("done", events[^1].GetProperty("state").GetString());
        Assert.Equal(["a.json", "a.png"], Files());
        Assert.Contains("\"prompt\": \"a ball\"", File.ReadAllText(_folder["a.json"]));

        var failed = Command($"generate --prompt x {Small} -o no/such/a.txt --json", "--model", model.Path);
        Assert.Equal(2, failed.ExitCode);
        Assert.Contains("\"state\":\"failed\",\"error\":\"no/such/a.txt", failed.Output.TrimEnd().Split('\n')[^1]);
    }

    [Fact]
    public void A_dry_run_checks_and_tells_and_writes_nothing_and_quiet_says_nothing()
    {
        var dry = Command($"generate --prompt x {Small} -n", "--model", model.Path);
        Assert.Equal((0, ""), (dry.ExitCode, dry.Error));
        Assert.All(["plan      1 frame of 32x32, 2 unipc steps", "\nmemory    ", "\ntime      sampling about ", "\nvideo     out.mp4", "\nlatents   out.latents.safetensors"],
            text => Assert.Contains(text, dry.Output));
        var compare = Command($"compare --prompt x {Small} -n --json", "--model", model.Path);
        Assert.Contains("\"event\":\"dry-run\",\"what\":\"2 videos, dense, nabla-0.7 of 1 prompt", compare.Output);
        Assert.Empty(Files());

        // In a process of its own: whatever it writes is seen.
        var quiet = Run($"$N generate --prompt x {Small} -o a.png -q --model '{model.Path}'");
        Assert.Equal((0, "", "", ""), (quiet.ExitCode, quiet.Output, quiet.Error, quiet.Progress));
        var decode = Command("decode a.latents.safetensors -o b.png --dry-run", "--model", model.Path);
        Assert.Equal(0, decode.ExitCode);
        Assert.Contains("video     b.png", decode.Output);
        Assert.DoesNotContain("b.png", Files());
        decode = Command("decode a.latents.safetensors -o b.png --discard-latents -q", "--model", model.Path);
        Assert.Equal((0, "", ""), (decode.ExitCode, decode.Output, decode.Error));
        Assert.Equal(["a.json", "a.png", "b.json", "b.png"], Files());
        Assert.Equal(File.ReadAllBytes(_folder["a.png"]), File.ReadAllBytes(_folder["b.png"]));
    }

    [Theory]
    [InlineData("--quiet prints nothing, and --json is there to be printed", "generate --prompt x --json --quiet")]
    [InlineData("--quiet prints nothing, and --dry-run is there to be printed", "decode a.safetensors --dry-run -q")]
    [InlineData("--dry-run writes nothing, and --log a file", "generate --prompt x --dry-run --log a.log")]
    [InlineData("--latents says where to keep the latents, and --discard-latents removes them", "generate --prompt x --latents a.safetensors --discard-latents")]
    [InlineData("the prompt is empty", "generate --prompt -")]
    [InlineData("'genrate' is not a command: did you mean generate?", "help genrate")]
    [InlineData("has no such preset, only \"fast\": did you mean \"fast\"?", "generate --prompt x --preset fats")]
    [InlineData("its attention, threshold or target density has no effect: --attention says what is compared", "compare --prompt x --preset fast")]
    public void Wrong_usage_is_one_line_and_exit_code_2(string expected, string line)
    {
        File.WriteAllText(_folder["presets.json"], "{\"fast\": {\"steps\": 3, \"threshold\": 0.6}}");
        var run = line.EndsWith(" -", StringComparison.Ordinal) ? Run($"$N {line} --model '{model.Path}' < /dev/null")
            : line.StartsWith("help", StringComparison.Ordinal) ? Command(line)
            : Command(line, "--model", model.Path);
        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith("nablagen: ", run.Error);
        Assert.Contains(expected, run.Error);
        Assert.Equal(["presets.json"], Files());
    }

    [Fact]
    public void A_preset_stands_between_the_flags_and_the_models_defaults()
    {
        File.WriteAllText(_folder["presets.json"], "{\"fast\": {\"steps\": 3, \"threshold\": 0.6, \"width\": 48}}");
        var run = Command("generate --prompt x --preset fast --width 32 --height 32 --frames 1 -n", "--model", model.Path);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("plan      1 frame of 32x32, 3 unipc steps", run.Output);
        Assert.Contains("attention nabla-0.6", run.Output);
        File.Delete(_folder["presets.json"]);
        var none = Command("generate --prompt x --preset fast -n", "--model", model.Path);
        Assert.Equal(2, none.ExitCode);
        Assert.Contains("presets.json is not there", none.Error);
    }

    [Fact]
    public void Help_is_grouped_and_has_the_models_own_defaults()
    {
        var help = NablaGenCommand.Run(["help", "generate"]);
        Assert.Equal((0, ""), (help.ExitCode, help.Error));
        Assert.Equal(help.Output, NablaGenCommand.Run(["generate", "--help"]).Output);
        string[] titles = ["What to make:", "How much:", "Attention:", "Model and device:", "Files:", "The run:"];
        var lines = help.Output.Split('\n');
        Assert.Equal(titles, lines.Where(titles.Contains));
        Assert.Equal(titles[1], lines.Last(line => titles.Contains(line) && Array.IndexOf(lines, line) < Array.FindIndex(lines, other => other.Contains("--steps"))));
        Assert.Contains("nablagen-tiny", help.Output);
        Assert.DoesNotContain("Wan: 50", help.Output);
        Assert.Contains("Solver steps [default: 16]", help.Output);
        Assert.Contains("safe for this model", string.Join(' ', help.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)));
        var other = NablaGenCommand.Run(["generate", "--help", "--model", "no such folder"]);
        Assert.Equal(0, other.ExitCode);
        Assert.Contains("Wan: 50", other.Output);
    }

    public void Dispose() => _folder.Dispose();

    private static string? Name(JsonElement one) => one.GetProperty("event").GetString();

    // In the tests' process, with the folder's presets.
    private NablaGenProcess Command(string line, params string[] more) => NablaGenCommand.Run(
        [.. line.Split(' '), .. more], _folder.Path, new Dictionary<string, string?> { ["NABLAGEN_CONFIG"] = _folder.Path });

    private NablaGenProcess Run(string line)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a shell");
        return NablaGenProcess.Shell(line, _folder.Path);
    }

    private IEnumerable<string> Files() => _folder.Files.Select(file => Path.GetRelativePath(_folder.Path, file)).Order(StringComparer.Ordinal);
}
