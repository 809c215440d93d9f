using System.Diagnostics;
using System.Text.Json.Nodes;
using NablaGen.Generation;
using NablaGen.Jobs.Calibration;

namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public sealed class CalibrateTests(CalibrateTests.Calibrated model) : IClassFixture<CalibrateTests.Calibrated>, IDisposable
{
    // 8 blocks, ragged ones among them.
    private static readonly string[] Size = ["--width", "144", "--height", "144", "--frames", "5"];
    private static readonly string[] Quick = ["--target-density", "0.5", "--measured-steps", "1", "--steps", "2"];

    private readonly TempFolder _folder = new();

    [Fact]
    public void A_file_is_made_and_used_everywhere_an_expression_goes()
    {
        File.WriteAllText(_folder["prompts.txt"], "a cat\na dog\n");
        var run = Calibrate("--target-density", "0.4", "--prompts", "prompts.txt", "--measured-steps", "1", "--output", "with-dashes_and_underscores.json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("measuring attention: pass ", run.Progress);
        Assert.Contains("ETA", run.Progress);
        Assert.Contains("by layer and head", run.Output);
        Assert.Contains("one for all", run.Output);
        Assert.Contains("nablagen generate --attention nabla-with-dashes_and_underscores.json", run.Output);
        Assert.All(run.Output.Split('\n').Where(line => !line.StartsWith("use ")), line => Assert.True(line.Length <= 80, line));
        var found = CalibrationFile.Read(_folder["with-dashes_and_underscores.json"]);
        Assert.Equal(("golden", 0.4, null), (found.Model, found.Target.Density, found.Target.Error));
        Assert.Equal(["a cat", "a dog"], found.Prompts);
        Assert.Equal([0L, 1L], found.Seeds);
        Assert.InRange(found.DensityInUse, 0.3, 0.5);

        string[] flags = ["--prompt", "a bird", "--seed", "7", "--attention", "nabla-with-dashes_and_underscores.json"];
        Assert.Equal((0, ""), Of(Generate([.. flags, "--output", "a.mp4"])));
        var recipe = RecipeFile.Read(_folder["a.mp4"]);
        Assert.Equal(("nabla-with-dashes_and_underscores.json", found.Thresholds, null), (recipe.Attention, recipe.HeadThresholds, recipe.TargetDensity));
        // A window's blocks come on top.
        Assert.Equal((0, ""), Of(Generate(["--prompt", "a bird", "--seed", "7", "--attention", "nabla-with-dashes_and_underscores.json_sta-1-3-3", "--stats", "s.csv", "--output", "w.mp4"])));
        Assert.True(Density("a.json") < Density("w.json"));
        Assert.Equal((0, ""), Of(Run("decode", "a.latents.safetensors", "--model", model.Path, "--output", "d.mp4")));
        Assert.Equal(recipe.HeadThresholds, RecipeFile.Read(_folder["d.mp4"]).HeadThresholds);

        var compare = Run(["compare", "--model", model.Path, "--prompt", "x", "--steps", "1", .. Size, "--output-dir", "c",
            "--attention", "dense", $"nabla-{_folder["with-dashes_and_underscores.json"]}"]);
        Assert.Equal((0, ""), Of(compare));
        Assert.True(File.Exists(_folder["c/nabla-with-dashes_and_underscores.mp4"]));

        File.WriteAllText(_folder["rows.jsonl"], "{\"prompt\": \"x\", \"attention\": \"nabla-with-dashes_and_underscores.json\", \"seed\": 1}\n");
        string[] batch = ["batch", "rows.jsonl", "--model", model.Path, "--steps", "1", .. Size, "--output-dir", "b"];
        Assert.Equal((0, ""), Of(Run(batch)));
        Assert.Contains("1 skipped", Run(batch).Output);
        // Other thresholds under the same name are another video.
        CalibrationFile.Write(_folder["with-dashes_and_underscores.json"], found with { Thresholds = Changed(found) });
        Assert.DoesNotContain("1 skipped", Run(batch).Output);
    }

    [Fact]
    public void A_video_is_made_again_from_its_own_thresholds()
    {
        Assert.Equal(0, Calibrate("--target-error", "0.1", "--measured-steps", "1", "--steps", "2").ExitCode);
        Assert.Equal(0, Generate("--prompt", "x", "--seed", "3", "--attention", "nabla-thresholds.json", "--output", "a.mp4").ExitCode);
        Assert.Equal((0, ""), Of(Run("generate", "--model", model.Path, "--from", "a.mp4", "--output", "b.mp4")));

        var found = CalibrationFile.Read(_folder["thresholds.json"]);
        CalibrationFile.Write(_folder["thresholds.json"], found with { Thresholds = Changed(found) });
        var changed = Run("generate", "--model", model.Path, "--from", "a.mp4", "--output", "c.mp4");
        Assert.Equal((0, ""), Of(changed));
        File.Delete(_folder["thresholds.json"]);
        Assert.Equal((0, ""), Of(Run("generate", "--model", model.Path, "--from", "a.latents.safetensors", "--output", "d.mp4")));
        foreach (var again in (string[])["b.mp4", "c.mp4", "d.mp4"])
        {
            Assert.Equal(File.ReadAllBytes(_folder["a.mp4"]), File.ReadAllBytes(_folder[again]));
        }
    }

    [Fact]
    public void A_model_folder_may_bring_its_thresholds()
    {
        GoldenModelFolder.Assemble(_folder["own"]);
        File.Copy(model.File, _folder["own/tuned.json"]);
        var config = File.ReadAllText(_folder["own/nablagen.json"]);
        Assert.Contains("\"attention\": \"dense\"", config);
        File.WriteAllText(_folder["own/nablagen.json"], config.Replace("\"attention\": \"dense\"", "\"attention\": \"nabla-tuned.json\""));
        Assert.Equal((0, ""), Of(Run(["generate", "--model", "own", "--prompt", "x", "--steps", "1", .. Size, "--output", "a.mp4"])));
        Assert.Equal(CalibrationFile.Read(_folder["own/tuned.json"]).Thresholds, RecipeFile.Read(_folder["a.mp4"]).HeadThresholds);
        // A density of one's own takes its place.
        Assert.Equal((0, ""), Of(Run(["generate", "--model", "own", "--prompt", "x", "--steps", "1", .. Size, "--target-density", "0.4", "--output", "b.mp4"])));
        Assert.Null(RecipeFile.Read(_folder["b.mp4"]).HeadThresholds);
    }

    [Fact]
    public void Json_is_one_object_on_its_own()
    {
        File.Copy(model.File, _folder["thresholds.json"]);
        var run = Calibrate([.. Quick, "--json"]);
        Assert.Equal(0, run.ExitCode);
        var json = JsonNode.Parse(run.Output)!;
        // The default name is not written over.
        Assert.Equal("thresholds-2.json", (string?)json["file"]);
        Assert.Equal(0.5, (double?)json["target"]!["density"]);
        Assert.Contains("measuring attention: pass ", run.Progress);
        Assert.Equal("thresholds-2.html", (string?)json["page"]);
        var curve = json["curve"]!.AsArray();
        Assert.Equal(24, curve.Count);
        Assert.All(curve, point => Assert.InRange((double)point!["error"]!, 0, (double)point["global_error"]! + 1e-6));
        var page = File.ReadAllText(_folder["thresholds-2.html"]);
        Assert.DoesNotContain("http", page);
        Assert.Contains("A threshold for each layer and head of golden", page);
        Assert.Contains("\"curve\":[{", page);
        Assert.Equal(File.ReadAllBytes(model.File), File.ReadAllBytes(_folder["thresholds.json"]));
        Assert.Equal(CalibrationFile.Read(_folder["thresholds.json"]).Thresholds, CalibrationFile.Read(_folder["thresholds-2.json"]).Thresholds);
    }

    [Theory]
    [InlineData(2, "give a target: --target-density or --target-error")]
    [InlineData(2, "--target-density and --target-error: give one of them; calibrate finds the other", "--target-density", "0.2", "--target-error", "0.1")]
    [InlineData(2, "the target density must be above 0 and below 1, found 2", "--target-density", "2")]
    [InlineData(2, "the target density must be above 0.125, one of 8 blocks a row at 144x144x5, found 0.05", "--target-density", "0.05")]
    [InlineData(2, "the number of measured steps must be from 1 to the run's 4, found 9", "--target-density", "0.5", "--measured-steps", "9")]
    [InlineData(1, "x.txt: the name of the output must end in .json", "--target-density", "0.5", "--output", "x.txt")]
    [InlineData(1, "none.txt: no such file", "--target-density", "0.5", "--prompts", "none.txt")]
    public void A_wrong_line_is_refused_in_one(int code, string expected, params string[] flags)
    {
        var run = Calibrate(flags);
        Assert.Equal((code, $"nablagen: {expected}\n"), Of(run));
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void What_generate_cannot_use_is_refused_in_one_line()
    {
        var found = CalibrationFileFound();
        CalibrationFile.Write(_folder["other.json"], found);
        var shape = Generate("--prompt", "x", "--attention", "nabla-other.json");
        Assert.Equal(2, shape.ExitCode);
        Assert.StartsWith("nablagen: attention 'nabla-other.json' has thresholds for 2 layers of 3 heads, and the model has ", shape.Error);
        var density = Generate("--prompt", "x", "--attention", "nabla-other.json", "--target-density", "0.3");
        Assert.Equal((2, "nablagen: --target-density adapts one threshold for all heads, and attention 'nabla-other.json' has one for each: calibrate for that density instead\n"),
            Of(density));
        var none = Generate("--prompt", "x", "--attention", "nabla-none.json");
        Assert.Equal((2, "nablagen: attention 'nabla-none.json': 'none.json' is neither a threshold such as 0.7 nor a file of thresholds that is there\n"), Of(none));
        File.WriteAllText(_folder["cut.json"], File.ReadAllText(_folder["other.json"])[..100]);
        var cut = Generate("--prompt", "x", "--attention", "nabla-cut.json");
        Assert.Equal(1, cut.ExitCode);
        Assert.StartsWith("nablagen: cut.json: is not JSON: ", cut.Error);
        Assert.Equal(1, cut.Error.Count(c => c == '\n'));
        File.WriteAllText(_folder["rows.jsonl"], "{\"prompt\": \"x\", \"target-density\": 0.2}\n");
        Assert.Contains("rows.jsonl:1: a row's attention", Calibrate("--target-density", "0.5", "--prompts", "rows.jsonl").Error);
    }

    [Fact]
    public void Ctrl_C_ends_it_and_leaves_nothing()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals");
        using var process = NablaGenProcess.Start(Line("--target-density", "0.5", "--steps", "50"), _folder.Path);
        while (process.StandardError.ReadLine() is { } line && !line.Contains("pass 1"))
        {
        }

        using (var kill = Process.Start("kill", ["-INT", $"{process.Id}"]))
        {
            kill.WaitForExit();
        }

        process.StandardOutput.ReadToEnd();
        var error = NablaGenProcess.ErrorOf(process.StandardError.ReadToEnd());
        process.WaitForExit();
        Assert.Equal((130, "nablagen: stopping after this layer; Ctrl-C again ends now\nnablagen: cancelled\n"), (process.ExitCode, error));
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    public void Dispose() => _folder.Dispose();

    private static CalibratedThresholds CalibrationFileFound() => Jobs.Calibration.CalibrationFileTests.Found;

    private static NablaGen.Attention.HeadThresholds Changed(CalibratedThresholds found) =>
        new([.. found.Thresholds.ToArray().Select(layer => layer.Select(threshold => 1 - 0.9 * threshold).ToArray())]);

    private static (int, string) Of(NablaGenProcess run) => (run.ExitCode, run.Error);

    private double Density(string result) => (double)JsonNode.Parse(File.ReadAllText(_folder[result]))!["result"]!["density"]!;

    private string[] Line(params string[] flags) => ["calibrate", "--model", model.Path, .. Size, .. flags];

    private NablaGenProcess Calibrate(params string[] flags) => Run(Line(flags));

    private NablaGenProcess Generate(params string[] flags) => Run(["generate", "--model", model.Path, "--steps", "2", .. Size, .. flags]);

    private NablaGenProcess Run(params string[] arguments) => NablaGenCommand.Run(arguments, _folder.Path);

    /// <summary>The model, and thresholds found for it once.</summary>
    public sealed class Calibrated : IDisposable
    {
        private readonly GoldenModelFixture _model = new();
        private readonly TempFolder _folder = new();

        public Calibrated()
        {
            var run = NablaGenCommand.Run(["calibrate", "--model", Path, .. Size, .. Quick], _folder.Path);
            Assert.Equal(0, run.ExitCode);
        }

        public string Path => _model.Path;

        public string File => _folder["thresholds.json"];

        public void Dispose()
        {
            _model.Dispose();
            _folder.Dispose();
        }
    }
}
