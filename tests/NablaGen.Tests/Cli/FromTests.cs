using NablaGen.Generation;
using NablaGen.Video;
using NablaGen.Video.Pictures;

namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public sealed class FromTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public void A_video_is_made_again_to_the_byte()
    {
        // Each flag is another than the model's default.
        Assert.Equal(0, Generate("a.mp4", "--prompt", "A \"cat\" & 猫", "--negative-prompt", "dogs", "--seed", "7", "--width", "144", "--height", "112",
            "--frames", "9", "--fps", "12", "--steps", "3", "--solver", "dpm++", "--shift", "3.5", "--guidance", "2.5", "--attention", "nabla-0.4_sta-1-3-1",
            "--dense-steps", "1", "--dense-layers", "1").ExitCode);
        foreach (var source in (string[])["a.mp4", "a.json", "a.latents.safetensors"])
        {
            var run = Generate("b.mp4", "--from", _folder[source]);
            Assert.Equal((0, ""), (run.ExitCode, run.Error));
            Assert.Equal(File.ReadAllBytes(_folder["a.latents.safetensors"]), File.ReadAllBytes(_folder["b.latents.safetensors"]));
            Assert.Equal(File.ReadAllBytes(_folder["a.mp4"]), File.ReadAllBytes(_folder["b.mp4"]));
            File.Delete(_folder["b.mp4"]);
        }
    }

    [Fact]
    public void A_held_density_is_made_again_to_the_byte()
    {
        string[] flags = ["--prompt", "x", "--seed", "1", "--width", "160", "--height", "144", "--target-density", "0.3"];
        Assert.Equal(0, Generate("a.mp4", flags).ExitCode);
        var recipe = RecipeFile.Read(_folder["a.mp4"]);
        Assert.Equal((0.3, 4), (recipe.TargetDensity, recipe.Thresholds!.Count));
        Assert.Equal(0, Generate("b.mp4", "--from", _folder["a.mp4"]).ExitCode);
        Assert.Equal(File.ReadAllBytes(_folder["a.mp4"]), File.ReadAllBytes(_folder["b.mp4"]));

        // With another seed the thresholds are looked for anew; an attention of one's own ends the target.
        Assert.Equal(0, Generate("c.mp4", "--from", _folder["a.mp4"], "--seed", "2").ExitCode);
        var other = RecipeFile.Read(_folder["c.mp4"]);
        Assert.Equal((0.3, 2L), (other.TargetDensity, other.Seed));
        Assert.NotEqual(recipe.Thresholds, other.Thresholds!);
        Assert.Equal(recipe.Asked with { Seed = 2 }, other.Asked);
        Assert.Equal(0, Generate("d.mp4", "--from", _folder["a.mp4"], "--threshold", "0.6").ExitCode);
        var plain = RecipeFile.Read(_folder["d.mp4"]);
        Assert.Equal(("nabla-0.6", null, null), (plain.Attention, plain.TargetDensity, plain.Thresholds));
    }

    [Fact]
    public void A_picture_is_made_again_and_flags_override()
    {
        Assert.Equal(0, Generate("a.png", "--prompt", "猫", "--frames", "1", "--seed", "5", "--steps", "2").ExitCode);
        Assert.Equal(0, Generate("b.png", "--from", _folder["a.png"]).ExitCode);
        Assert.Equal(File.ReadAllBytes(_folder["a.png"]), File.ReadAllBytes(_folder["b.png"]));

        Assert.Equal(0, Generate("c.mp4", "--from", _folder["a.png"], "--frames", "5", "--guidance", "1", "--prompt", "y").ExitCode);
        var recipe = RecipeFile.Read(_folder["c.mp4"]);
        Assert.Equal(("y", 5, 5L, 2, 1.0, null), (recipe.Prompt, recipe.Frames, recipe.Seed, recipe.Steps, recipe.Guidance, recipe.NegativePrompt));
    }

    [Fact]
    public void Another_model_is_an_error_unless_it_is_named()
    {
        Assert.Equal(0, Generate("a.mp4", "--prompt", "x", "--steps", "1").ExitCode);
        var json = File.ReadAllText(_folder["a.json"]);
        var hash = RecipeFile.Read(_folder["a.json"]).ModelHash;
        File.WriteAllText(_folder["other.json"], json.Replace(hash, "0123456789abcdef").Replace("\"golden\"", "\"other\""));
        var named = Generate("b.mp4", "--from", _folder["other.json"]);
        Assert.Equal(0, named.ExitCode);
        Assert.StartsWith($"nablagen: warning: {_folder["other.json"]} was made with the model 'other' (0123456789abcdef), and ", named.Error);
        Assert.Equal(1, named.Error.Count(c => c == '\n'));

        var found = NablaGenCommand.Run(["generate", "--from", _folder["other.json"], "--output", _folder["c.mp4"]],
            environment: new Dictionary<string, string?> { ["NABLAGEN_MODEL"] = model.Path });
        Assert.Equal(1, found.ExitCode);
        Assert.Contains("was made with the model 'other'", found.Error);
        Assert.Contains("with --model", found.Error);
        Assert.Equal(1, found.Error.Count(c => c == '\n'));
        Assert.False(File.Exists(_folder["c.mp4"]));

        File.WriteAllText(_folder["old.json"], json.Replace($"\"version\": \"{NablaGenVersion.Text}\"", "\"version\": \"0.0.1\""));
        var old = Generate("d.mp4", "--from", _folder["old.json"]);
        Assert.Equal(0, old.ExitCode);
        Assert.StartsWith("nablagen: note: ", old.Error);
        Assert.Contains("made by NablaGen 0.0.1 on cpu", old.Error);
    }

    [Fact]
    public void What_carries_no_recipe_is_one_line()
    {
        using (var writer = Mp4Writer.Open(_folder["foreign.mp4"], 64, 64, 8, new Dictionary<string, string> { ["comment"] = "a holiday" }))
        {
            writer.WriteFrame(new byte[64 * 64 * 3]);
            writer.Complete();
        }

        PictureFile.SavePng(_folder["foreign.png"], 2, 2, new byte[12]);
        File.WriteAllText(_folder["foreign.json"], "{\"prompt\": 1}");
        File.WriteAllText(_folder["text.mp4"], "no video");
        foreach (var (file, expected) in new[]
        {
            ("foreign.mp4", "holds no recipe: expected a .mp4, .png, .json or .latents.safetensors that NablaGen wrote"), ("foreign.png", "holds no recipe: expected a .mp4, .png, .json or .latents.safetensors that NablaGen wrote"), ("foreign.json", "holds no recipe: expected a .mp4, .png, .json or .latents.safetensors that NablaGen wrote"),
            ("text.mp4", "not a video that ffprobe can read"), ("none.mp4", "there is no such file"),
        })
        {
            var run = Generate("b.mp4", "--from", _folder[file]);
            Assert.Equal(1, run.ExitCode);
            Assert.StartsWith($"nablagen: {_folder[file]}: {expected}", run.Error);
            Assert.Equal(1, run.Error.Count(c => c == '\n'));
        }
    }

    public void Dispose() => _folder.Dispose();

    private NablaGenProcess Generate(string output, params string[] flags) =>
        NablaGenCommand.Run(["generate", "--model", model.Path, "--output", _folder[output], .. flags]);
}
