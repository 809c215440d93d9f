using System.Diagnostics;
using NablaGen.Generation;

namespace NablaGen.Tests.Cli;

/// <summary>One run never takes what another made, and none writes one file twice.</summary>
[Trait(Lane.Name, Lane.Commands)]
public sealed class OutputNameTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private static readonly string[] Small = ["--steps", "1", "--frames", "5", "--width", "32", "--height", "32", "--guidance", "1"];

    private readonly TempFolder _folder = new();

    [Fact]
    public void Runs_at_once_have_a_default_name_each()
    {
        using var first = Start("a red ball");
        using var second = Start("a blue star");
        var told = new[] { first, second }.Select(process => process.StandardOutput.ReadToEndAsync()).ToList();
        first.WaitForExit();
        second.WaitForExit();
        Assert.Equal((0, 0), (first.ExitCode, second.ExitCode));
        var names = told.Select(text => text.Result.Split("video     ")[1].Split(' ')[0]).ToList();
        Assert.Equal(["out-2.mp4", "out.mp4"], names.Order(StringComparer.Ordinal));
        foreach (var (name, prompt) in names.Zip(["a red ball", "a blue star"]))
        {
            string[] files = [_folder[name], ResultFile.PathBeside(_folder[name]), LatentFile.PathBeside(_folder[name])];
            Assert.All(files, file => Assert.Equal(prompt, RecipeFile.Read(file).Prompt));
        }

        Assert.False(Directory.Exists(_folder[".claims"]));
    }

    [Fact]
    public void Saved_latents_keep_their_name_and_give_it_to_their_video()
    {
        Generate("a red ball");
        File.Delete(_folder["out.mp4"]);
        File.Delete(_folder["out.json"]);
        Generate("a blue star");
        Assert.Equal("a red ball", RecipeFile.Read(_folder["out.latents.safetensors"]).Prompt);
        Assert.Equal("a blue star", RecipeFile.Read(_folder["out-2.mp4"]).Prompt);

        File.Move(_folder["out.latents.safetensors"], _folder["ball.latents.safetensors"]);
        for (var i = 0; i < 2; i++)
        {
            Assert.Equal(0, NablaGenCommand.Run(["decode", "ball.latents.safetensors", "--model", model.Path], _folder.Path).ExitCode);
        }

        Assert.Equal("a red ball", RecipeFile.Read(_folder["ball.mp4"]).Prompt);
        Assert.True(File.Exists(_folder["ball-2.mp4"]));
    }

    [Theory]
    [InlineData("--stats and ball.json", "--output", "ball.mp4", "--stats", "ball.json")]
    [InlineData("both out.json", "--stats", "out.json")]
    [InlineData("--latents and --log", "--latents", "l.safetensors", "--log", "./l.safetensors")]
    [InlineData("the latents beside the video", "--output", "ball.mp4", "--log", "ball.latents.safetensors")]
    [InlineData("--output and --log", "--output", "ball.mp4", "--log", "ball.mp4")]
    [InlineData("--log and --from", "--from", "kept.json", "--log", "kept.json")]
    public void Two_files_under_one_name_are_refused_before_anything_is_written(string expected, params string[] flags)
    {
        File.WriteAllText(_folder["kept.json"], "{}");
        var run = NablaGenCommand.Run(["generate", "--prompt", "x", "--model", model.Path, .. flags], _folder.Path);
        Assert.Equal(2, run.ExitCode);
        Assert.True(expected.Split(" and ").All(run.Error.Contains), run.Error);
        Assert.Equal([_folder["kept.json"]], _folder.Files);
        Assert.Equal("{}", File.ReadAllText(_folder["kept.json"]));
    }

    [Fact]
    public void A_batchs_log_is_neither_its_list_nor_its_manifest()
    {
        File.WriteAllText(_folder["a.txt"], "x\n");
        foreach (var log in new[] { "a.txt", "v/manifest.jsonl" })
        {
            var run = NablaGenCommand.Run(["batch", "a.txt", "-o", "v", "--model", model.Path, "--log", log, .. Small], _folder.Path);
            Assert.Equal(2, run.ExitCode);
        }

        Assert.Equal("x\n", File.ReadAllText(_folder["a.txt"]));
    }

    [Theory]
    [InlineData("'-prompt' is not an option: did you mean --prompt?", "-prompt", "a red ball")]
    [InlineData("'-prompt' is not an option: did you mean --prompt?", "-prompt")]
    [InlineData("'-seed' is not an option: did you mean --seed?", "-p", "x", "-seed", "5")]
    public void A_long_option_with_one_hyphen_is_told(string expected, params string[] flags)
    {
        var run = NablaGenCommand.Run(["generate", "--model", model.Path, .. flags], _folder.Path);
        Assert.Equal((2, $"nablagen: {expected}"), (run.ExitCode, run.Error.Split('\n')[0]));
    }

    [Fact]
    public void A_current_folder_that_is_gone_is_told()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a folder in use cannot be removed there");
        var run = NablaGenProcess.Shell("mkdir d && cd d && rmdir ../d && $N generate --prompt x", _folder.Path);
        Assert.Equal((1, "nablagen: the current folder is not there any more: change to another\n"), (run.ExitCode, run.Error));
    }

    public void Dispose() => _folder.Dispose();

    private Process Start(string prompt) => NablaGenProcess.Start(["generate", "--prompt", prompt, "--model", model.Path, .. Small], _folder.Path);

    private void Generate(string prompt) =>
        Assert.Equal(0, NablaGenCommand.Run(["generate", "--prompt", prompt, "--model", model.Path, .. Small], _folder.Path).ExitCode);
}
