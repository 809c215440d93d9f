using System.Text.Json;
using System.Text.RegularExpressions;
using NablaGen.Tests.Video;
using NablaGen.Video;

namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public sealed partial class CompareTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private const string Prompt = "A cat </script><script>alert(1)</script> & \"{{js}}\" 猫";

    private readonly TempFolder _folder = new();

    [Fact]
    public void A_comparison_has_every_file_and_a_page_that_needs_none()
    {
        // An ffmpeg that notes its lines.
        using var tools = new TempFolder();
        var ffmpeg = OperatingSystem.IsWindows() ? null : Clip.Script(tools, $"echo \"$*\" >> '{tools["lines"]}'; exec \"$FFMPEG\" \"$@\"").Ffmpeg;
        var run = NablaGenCommand.Run(
            ["compare", "--model", model.Path, "--prompt", Prompt, "--attention", "dense", "nabla-0.5", "nabla-1", "--seed", "7", "--width", "144", "--height", "128",
                "--frames", "5", "--steps", "2", "--masks", "--output-dir", _folder["out"]],
            _folder.Path, ffmpeg is null ? null : new Dictionary<string, string?> { [FfmpegTools.Variable] = ffmpeg });
        Assert.Equal("", run.Error);
        Assert.Equal(0, run.ExitCode);
        string[] names = ["dense", "nabla-0.5", "nabla-1"];
        Assert.Equal(
            [.. names.SelectMany(name => (string[])[$"{name}.json", $"{name}.latents.safetensors", $"{name}.mp4"]).Concat(
                ["compare.json", "contact-sheet.png", "nabla-0.5.masks.html", "nabla-1.masks.html", "report.html", "side-by-side.mp4"]).Order(StringComparer.Ordinal)],
            Names("out"));

        var json = JsonDocument.Parse(File.ReadAllText(_folder["out/compare.json"])).RootElement;
        CheckNumbers(json, run.Output);
        CheckPage(File.ReadAllText(_folder["out/report.html"]), names);
        // Each video is decoded for its metrics and for what shows it; a sparse one also for its page of masks.
        var lines = ffmpeg is null ? [] : File.ReadAllLines(tools["lines"]);
        Assert.Equal(ffmpeg is null ? [0, 0, 0] : [2, 3, 3], names.Select(name => lines.Count(line => line.Contains($"/{name}.mp4 ") && line.EndsWith("-f rawvideo pipe:1", StringComparison.Ordinal))));

        var sideBySide = VideoProbe.Read(_folder["out/side-by-side.mp4"]);
        Assert.Equal((5, 8.0), (sideBySide.FrameCount, sideBySide.Fps));
        Assert.True(sideBySide.Width >= 3 * 144 && sideBySide.Height > 128 && sideBySide.Height < 2 * 128);
        Assert.Equal(Prompt, sideBySide.Tags["title"]);
    }

    [Fact]
    public void Several_prompts_have_a_folder_each_and_an_index()
    {
        File.WriteAllText(_folder["prompts.txt"], "# two\nA red <b>ball</b>\n\n猫\n");
        string[] flags = ["--seed", "1", "--steps", "1", "--guidance", "1", "--frames", "1"];
        var run = Compare(["--prompts", _folder["prompts.txt"], .. flags]);
        Assert.Equal("", run.Error);
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("prompt 2/2: 猫", run.Progress);

        var again = Compare(["--prompt", "x", "--attention", "dense", "nabla-0.5", .. flags]);
        Assert.Equal((0, ""), (again.ExitCode, again.Error));

        Assert.True(Directory.Exists(_folder["compare-2"]));
        string[] folders = [.. Directory.GetDirectories(_folder["compare"]).Select(folder => Path.GetFileName(folder)).Order(StringComparer.Ordinal)];
        Assert.Equal(["0001-a-red-b-ball-b-s1", "0002-猫-s1"], folders);
        Assert.All(folders, folder => Assert.Contains("report.html", Names($"compare/{folder}")));

        var means = JsonDocument.Parse(File.ReadAllText(_folder["compare/means.json"])).RootElement;
        var prompts = means.GetProperty("prompts").EnumerateArray().ToList();
        Assert.Equal(folders, prompts.Select(one => one.GetProperty("folder").GetString()));
        var sparse = means.GetProperty("expressions")[1];
        Assert.Equal(prompts.Average(one => Number(one.GetProperty("expressions")[1], "ssim")), Number(sparse, "ssim"), 1e-5);
        var csv = File.ReadAllLines(_folder["compare/means.csv"]);
        Assert.Equal((7, "prompt,seed,folder,attention,density"), (csv.Length, csv[0][..36]));
        Assert.StartsWith("mean of 2,,,dense,1,", csv[1]);
        Assert.StartsWith("\"A red <b>ball</b>\",1,", csv[3]);
        Assert.Contains("\nmean over 2 prompts\n", run.Output);
        var index = File.ReadAllText(_folder["compare/index.html"]);
        Assert.Equal(["data:,", .. folders.Select(folder => $"{Uri.EscapeDataString(folder)}/report.html")], Link().Matches(index).Select(match => match.Groups[1].Value));
        Assert.Contains("A red &lt;b&gt;ball&lt;/b&gt;", index);
        Assert.DoesNotContain("<b>ball", index);
        Assert.DoesNotContain("http", Picture().Replace(index, ""));
        Assert.Contains("data-label=\"SSIM \u2191\"", index);
    }

    [Theory]
    [InlineData("give --prompt, or --prompts with a file")]
    [InlineData("give one of them", "--prompt", "x", "--prompts", "prompts.txt")]
    [InlineData("the prompt is empty", "--prompt", " ")]
    [InlineData("at least two attention expressions, found 1", "--prompt", "x", "--attention", "dense")]
    [InlineData("attention 'nabla-0.5' is named twice", "--prompt", "x", "--attention", "nabla-0.5", "nabla-0.50")]
    [InlineData("attention 'nabla' is not known", "--prompt", "x", "--attention", "dense", "nabla")]
    [InlineData("width must be a multiple of 16", "--prompt", "x", "--width", "100")]
    [InlineData("keeps the first 12 steps dense and there are 4", "--prompt", "x", "--attention", "dense", "sta-3-3-3")]
    [InlineData("keeps the first 3 steps dense and there are 2", "--prompts", "rows.txt", "--attention", "dense", "sta-3-3-3", "--dense-steps", "3", "--steps", "2")]
    [InlineData("--negative-prompt has no effect at guidance 1", "--prompt", "x", "--negative-prompt", "y", "--guidance", "1")]
    [InlineData("Unrecognized command or argument '--threshold'", "--prompt", "x", "--threshold", "0.5")]
    [InlineData("Unrecognized command or argument '--target-density'", "--prompt", "x", "--target-density", "0.5")]
    [InlineData("rows.jsonl:1: a row's attention, threshold or target density has no effect", "--prompts", "rows.jsonl")]
    public void Wrong_usage_is_one_line_and_exit_code_2(string expected, params string[] flags)
    {
        File.WriteAllText(_folder["rows.txt"], "x\n");
        File.WriteAllText(_folder["rows.jsonl"], "{\"prompt\": \"x\", \"attention\": \"nabla-0.5\"}\n");
        var run = Compare(flags);
        Assert.Contains(expected, run.Error);
        Assert.StartsWith("nablagen: ", run.Error);
        Assert.Equal(2, run.ExitCode);
        Assert.False(Directory.Exists(_folder["compare"]));
    }

    [Theory]
    [InlineData("none.txt: no such file", "--prompts", "none.txt")]
    [InlineData("a file: this is a file", "--prompt", "x", "--output-dir", "a file")]
    public void What_cannot_be_read_or_written_is_found_before_any_work(string expected, params string[] flags)
    {
        File.WriteAllText(_folder["a file"], "");
        var run = Compare(flags);
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Contains(expected, run.Error);
    }

    public void Dispose() => _folder.Dispose();

    private static void CheckNumbers(JsonElement json, string output)
    {
        Assert.Equal(Prompt, json.GetProperty("recipe").GetProperty("prompt").GetString());
        Assert.Equal(7, json.GetProperty("recipe").GetProperty("seed").GetInt64());
        var expressions = json.GetProperty("expressions").EnumerateArray().ToArray();
        var (dense, sparse, all) = (expressions[0], expressions[1], expressions[2]);

        Assert.Equal(1, Number(dense, "density"));
        Assert.Equal(1, Number(dense, "speed_up"));
        Assert.False(dense.TryGetProperty("psnr", out _));
        Assert.InRange(Number(sparse, "density"), 0.05, 0.95);
        Assert.InRange(Number(sparse, "ssim"), 0, 0.9999);
        Assert.True(Number(sparse, "flicker") > 0);

        // Threshold 1 keeps everything: the same video but for rounding, of which H.264 makes a little more.
        Assert.Equal(1, Number(all, "density"));
        Assert.InRange(Number(all, "ssim"), Math.Max(0.99, Number(sparse, "ssim")), 1);

        var cosines = sparse.GetProperty("latent_cosine_by_step").EnumerateArray().Select(value => value.GetDouble()).ToArray();
        Assert.Equal(2, cosines.Length);
        Assert.All(cosines, cosine => Assert.InRange(cosine, 0, 0.999999));
        Assert.All(all.GetProperty("latent_cosine_by_step").EnumerateArray(), cosine => Assert.Equal(1, cosine.GetDouble(), 1e-6));
        Assert.Equal(5, sparse.GetProperty("ssim_by_frame").GetArrayLength());

        var heads = Table(sparse, "density_by_layer_and_head");
        var steps = Table(sparse, "density_by_step_and_layer");
        Assert.Equal(2, steps.Length);
        Assert.Equal(heads.Length, steps[0].Length);
        Assert.Equal(Number(sparse, "density"), heads.SelectMany(row => row).Average(), 1e-5);
        Assert.Equal(Number(sparse, "density"), steps.SelectMany(row => row).Average(), 1e-5);

        Assert.Matches(@"(?m)^dense +1\.000 +\d+\.\d +1\.00 +- +- ", output);
        Assert.Matches($@"(?m)^nabla-0\.5 +{Number(sparse, "density"):0.000} .* {Number(sparse, "psnr"):0.00} +{Number(sparse, "ssim"):0.0000} ", output);
    }

    private void CheckPage(string page, string[] names)
    {
        var videos = Video().Matches(page).Select(match => Convert.FromBase64String(match.Groups[1].Value)).ToArray();
        Assert.Equal(names.Select(name => File.ReadAllBytes(_folder[$"out/{name}.mp4"])), videos);

        var text = Picture().Replace(Video().Replace(page, ""), "");
        Assert.DoesNotContain("http", text);
        Assert.DoesNotContain("@import", text);
        Assert.DoesNotContain("url(", text);
        Assert.Equal(["data:,", "nabla-0.5.masks.html", "nabla-1.masks.html"], Link().Matches(text).Select(match => match.Groups[1].Value));
        Assert.Empty(Source().Matches(text));

        Assert.Contains("<h1>A cat &lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;{{js}}&quot; ", text);
        Assert.DoesNotContain("<script>alert", text);
        Assert.Equal(2, text.Split("</script>").Length - 1);

        var data = JsonDocument.Parse(Data().Match(text).Groups[1].Value).RootElement;
        Assert.Equal(Prompt, data.GetProperty("recipe").GetProperty("prompt").GetString());
        Assert.Equal(names, data.GetProperty("expressions").EnumerateArray().Select(one => one.GetProperty("attention").GetString()));
    }

    private static double Number(JsonElement element, string name) => element.GetProperty(name).GetDouble();

    private static double[][] Table(JsonElement element, string name) =>
        [.. element.GetProperty(name).EnumerateArray().Select(row => row.EnumerateArray().Select(value => value.GetDouble()).ToArray())];

    private NablaGenProcess Compare(params string[] flags) => NablaGenCommand.Run(["compare", "--model", model.Path, .. flags], _folder.Path);

    private string[] Names(string folder) => [.. Directory.GetFiles(_folder[folder]).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];

    [GeneratedRegex("src=\"data:video/mp4;base64,([^\"]*)\"")]
    private static partial Regex Video();

    [GeneratedRegex("(poster|src)=\"data:image/jpeg;base64,[^\"]*\"")]
    private static partial Regex Picture();

    [GeneratedRegex("href=\"([^\"]*)\"")]
    private static partial Regex Link();

    [GeneratedRegex(" src=\"")]
    private static partial Regex Source();

    [GeneratedRegex("<script type=\"application/json\" id=\"data\">(.*?)</script>", RegexOptions.Singleline)]
    private static partial Regex Data();
}
