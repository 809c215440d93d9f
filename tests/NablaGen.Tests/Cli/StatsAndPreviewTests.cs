using System.Globalization;
using System.Text.Json;
using NablaGen.Denoising;
using NablaGen.Jobs.Statistics;
using NablaGen.Models.Wan;
using NablaGen.Video;

namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public sealed class StatsAndPreviewTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public void Statistics_and_previews_are_written()
    {
        string[] flags = ["--width", "160", "--height", "144", "--seed", "1", "--target-density", "0.35"];
        var csv = Generate("a.mp4", [.. flags, "--stats", _folder["a.csv"], "--preview", "--preview-every", "2", "--masks", _folder["a.html"], "--masks-layers", "0"]);
        Assert.Equal((0, ""), (csv.ExitCode, csv.Error));
        var rows = File.ReadAllLines(_folder["a.csv"]).Select(line => line.Split(',')).ToArray();
        Assert.Equal(["step", "layer", "head", "density", "threshold", "layer_mask_share", "step_mask_share", "step_seconds"], rows[0]);
        var (layers, heads) = Sizes();
        Assert.Equal(4 * layers * heads, rows.Length - 1);
        var mean = rows[1..].Average(row => double.Parse(row[3], CultureInfo.InvariantCulture));
        using var result = JsonDocument.Parse(File.ReadAllText(_folder["a.json"]));
        Assert.Equal(result.RootElement.GetProperty("result").GetProperty("density").GetDouble(), mean, 4);
        Assert.All(rows[1..], row => Assert.All(row[3..], cell => Assert.InRange(double.Parse(cell, CultureInfo.InvariantCulture), 0, 1000)));

        var gif = VideoProbe.Read(_folder["a.preview.gif"]);
        Assert.Equal((80, 72, 2, "gif"), (gif.Width, gif.Height, gif.FrameCount, gif.Codec));

        var page = File.ReadAllText(_folder["a.html"]);
        Assert.Contains($"4 of 4 steps, 1 of {layers} layers and {heads} of {heads} heads", page);
        Assert.Equal(2, page.Split("data:image/jpeg;base64,").Length - 1);
        Assert.DoesNotContain("http", page);

        // What is only looked at changes nothing.
        var json = Generate("b.mp4", [.. flags, "--stats", _folder["b.stats.json"]]);
        Assert.Equal(0, json.ExitCode);
        Assert.Equal(File.ReadAllBytes(_folder["a.mp4"]), File.ReadAllBytes(_folder["b.mp4"]));
        using var stats = JsonDocument.Parse(File.ReadAllText(_folder["b.stats.json"]));
        Assert.Equal(mean, stats.RootElement.GetProperty("density").GetDouble(), 4);
        Assert.Equal(0.35, stats.RootElement.GetProperty("recipe").GetProperty("target_density").GetDouble());
        Assert.Equal(4, stats.RootElement.GetProperty("recipe").GetProperty("thresholds").GetArrayLength());
        var steps = stats.RootElement.GetProperty("steps").EnumerateArray().ToArray();
        Assert.Equal(4, steps.Length);
        Assert.Equal(layers, steps[3].GetProperty("layers").GetArrayLength());
        Assert.Equal(heads, steps[3].GetProperty("layers")[0].GetProperty("head_density").GetArrayLength());
        Assert.InRange(steps[3].GetProperty("layers")[0].GetProperty("mask_seconds").GetDouble(), 1e-9, 60);
    }

    [Fact]
    public void Dense_layers_have_no_mask()
    {
        Assert.Equal(0, Generate("a.mp4", "--threshold", "0.5", "--dense-layers", "1", "--stats", _folder["a.csv"], "--steps", "1").ExitCode);
        var row = File.ReadAllLines(_folder["a.csv"])[1].Split(',');
        Assert.Equal(["0", "0", "0", "1", "", ""], row[..6]);
    }

    [Theory]
    [InlineData("must end in .csv or .json", "--stats", "a.txt")]
    [InlineData("--preview-every has no effect without --preview", "--preview-every", "2")]
    [InlineData("--preview-every must be 1 or more, found 0", "--preview", "--preview-every", "0")]
    [InlineData("--masks-heads has no effect without --masks", "--masks-heads", "0")]
    [InlineData("--masks has nothing to show: attention 'dense' looks at every block", "--masks", "a.html", "--attention", "dense")]
    [InlineData("the name of the preview must end in .gif", "--preview", "a.webp")]
    [InlineData("give one of them", "--target-density", "0.2", "--threshold", "0.5")]
    [InlineData("adapts NABLA's threshold, and attention 'dense' has none", "--target-density", "0.2", "--attention", "dense")]
    [InlineData("adapts NABLA's threshold, and attention 'sta-1-1-1' has none", "--target-density", "0.2", "--attention", "sta-1-1-1", "--dense-steps", "0")]
    [InlineData("target density must be above 1.000 and below 1, found 0.2: attention", "--target-density", "0.2", "--attention", "nabla-0.5_sta-3-3-3")]
    [InlineData("target density must be above 0 and below", "--target-density", "1.2", "--attention", "nabla-0.5")]
    [InlineData("found -1", "--target-density", "-1", "--attention", "nabla-0.5")]
    public void Wrong_usage_is_one_line(string expected, params string[] flags)
    {
        var run = NablaGenCommand.Run(["generate", "--prompt", "x", "--model", model.Path, "--output", _folder["a.mp4"], .. flags], _folder.Path);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains(expected, run.Error);
        Assert.Equal(1, run.Error.Count(c => c == '\n'));
        Assert.Empty(_folder.Files);
    }

    [Fact]
    public void Statistics_that_cannot_be_written_do_not_stop_the_run()
    {
        File.WriteAllText(_folder["file"], "");
        var writer = new StatisticsWriter(_folder["file/below.csv"], new DensityStatistics(1, 1), () => null!);
        Assert.Null(writer.Failure);
        ((ISamplingObserver)writer).OnEnd();
        Assert.Contains("below.csv: cannot be written", writer.Failure?.Message);
    }

    public void Dispose() => _folder.Dispose();

    private static (int Layers, int Heads) Sizes()
    {
        using var golden = Golden.Open("dit");
        var config = ModelConfigs.ParseDit(golden.Metadata("config"), "dit");
        return (config.NumLayers, config.NumHeads);
    }

    private NablaGenProcess Generate(string output, params string[] flags) => NablaGenCommand.Run(
        ["generate", "--prompt", "x", "--model", model.Path, "--output", _folder[output], .. flags], _folder.Path,
        new Dictionary<string, string?> { ["NABLAGEN_CACHE"] = Path.Combine(model.Path, "..", "cache") });
}
