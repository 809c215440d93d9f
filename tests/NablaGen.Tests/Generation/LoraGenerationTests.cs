using NablaGen.Cli.Commands;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Batch;
using NablaGen.Tests.Cli;
using NablaGen.Tests.Weights.Lora;
using NablaGen.Weights;
using NablaGen.Weights.Lora;
using static TorchSharp.torch;

namespace NablaGen.Tests.Generation;

/// <summary>LoRAs from the request to the recipe.</summary>
public sealed class LoraGenerationTests : IClassFixture<GoldenModelFixture>, IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly TextToVideo _pipeline;

    public LoraGenerationTests(GoldenModelFixture model)
    {
        _pipeline = TextToVideo.Open(model.Path, device: "cpu", keepLoaded: true);
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        new LoraWriter(golden.Source.Under("weights."), 1).Write(_folder["style.safetensors"], "kohya");
        new LoraWriter(golden.Source.Under("weights."), 2).Write(_folder["other.safetensors"], "diffusers");
    }

    [Fact]
    public void A_video_with_a_lora_differs_and_its_recipe_says_name_contents_and_strength()
    {
        var plain = Make("plain");
        var with = Make("with", $"{_folder["style.safetensors"]}:0.5");
        Assert.False(Same(plain, with));
        Assert.True(Same(plain, Make("none", $"{_folder["style.safetensors"]}:0")));
        // The model that stays in memory is not the merged one.
        Assert.True(Same(plain, Make("again")));
        Assert.True(Same(with, Make("with again", $"{_folder["style.safetensors"]}:0.5")));

        var lora = Assert.Single(with.Recipe.Get(RequestFields.Lora)!);
        var sha = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(_folder["style.safetensors"])));
        Assert.Equal(("style.safetensors", 0.5, sha), (lora.Name, lora.Strength, lora.Sha256));
        Assert.Equal(plain.Recipe.ModelHash, with.Recipe.ModelHash);
        Assert.Null(plain.Recipe.Get(RequestFields.Lora));
        Assert.Equal(with.Recipe, RecipeFile.Read(_folder["with.json"]));
        Assert.Contains($"LoRA {_folder["style.safetensors"]}:0.5", $"{with.Recipe}");

        // From the recipe alone.
        var request = PartialRequest.Of(RecipeFile.Read(_folder["with.png"])).ToRequest(_pipeline.Defaults);
        Assert.Equal(with.Recipe.Get(RequestFields.Lora), request.Loras);
        Assert.True(Same(with, _pipeline.Generate(request, _folder["from.png"])));
    }

    [Fact]
    public void Batches_tell_loras_apart_by_contents_and_strength_and_not_by_folder()
    {
        string Key(params string[] loras) => ManifestEntry.KeyOf(_pipeline.RecipeOf(Request(loras) with { Seed = 1 }));
        var (style, other) = (_folder["style.safetensors"], _folder["other.safetensors"]);
        var key = Key(style);
        Assert.NotEqual(Key(), key);
        Assert.NotEqual(Key(style + ":0.5"), key);
        Assert.NotEqual(Key(style, other), key);
        Assert.NotEqual(Key(style, other), Key(other, style));
        Directory.CreateDirectory(_folder["elsewhere"]);
        File.Copy(style, _folder["elsewhere/style.safetensors"]);
        Assert.Equal(key, Key(_folder["elsewhere/style.safetensors"]));
        File.Copy(other, style, overwrite: true);
        using var fresh = TextToVideo.Open(_pipeline.Model.Path, device: "cpu");
        Assert.NotEqual(ManifestEntry.KeyOf(fresh.RecipeOf(Request(style) with { Seed = 1 })), key);
    }

    [Fact]
    public void A_recipe_notices_another_file_of_the_same_name()
    {
        var style = Path.Combine(Directory.CreateDirectory(Path.Combine(Path.GetDirectoryName(_pipeline.Model.Path)!, "loras")).FullName, "style.safetensors");
        File.Copy(_folder["style.safetensors"], style, overwrite: true);
        var made = Make("made", style);
        var from = RecipeSource.Read(_folder["made.json"], TestContext.Current.CancellationToken)!;
        from.Compare(_pipeline.RecipeOf(Request(style)), _pipeline.Model, modelNamed: false, lorasNamed: false);
        File.Copy(_folder["other.safetensors"], style, overwrite: true);
        using var fresh = TextToVideo.Open(_pipeline.Model.Path, device: "cpu");
        var now = fresh.RecipeOf(from.Request(new PartialRequest(), fresh.Defaults, fresh.Model));
        Assert.Equal(made.Recipe.ModelHash, now.ModelHash);
        var error = Assert.Throws<NablaGenException>(() => from.Compare(now, fresh.Model, modelNamed: false, lorasNamed: false)).Message;
        Assert.Contains("was made with the LoRA 'style.safetensors'", error);
        Assert.Contains("--lora", error);
        // Named on purpose it is used, with a warning.
        from.Compare(now, fresh.Model, modelNamed: false, lorasNamed: true);
    }

    [Fact]
    public void A_recipe_opens_no_lora_that_the_user_has_not_put_among_the_models()
    {
        Make("made", _folder["other.safetensors"]);
        var from = RecipeSource.Read(_folder["made.json"], TestContext.Current.CancellationToken)!;
        var error = Assert.Throws<NablaGenException>(() => from.Request(new PartialRequest(), _pipeline.Defaults, _pipeline.Model)).Message;
        Assert.Contains("'other.safetensors'", error);
        Assert.Contains("name its file with --lora", error);
        // Named, it is the user's.
        var named = new PartialRequest().With(RequestFields.Lora, new LoraList(new LoraChoice(_folder["other.safetensors"])));
        Assert.Equal(_folder["other.safetensors"], Assert.Single(from.Request(named, _pipeline.Defaults, _pipeline.Model).Loras).Path);

        // Names that lead elsewhere are none of a file.
        foreach (var path in new[] { "..", "/etc/passwd", "loras/..", "" })
        {
            Assert.Null(new LoraChoice(path).AmongModels(_pipeline.Model.Path));
        }
    }

    [Fact]
    public void A_name_alone_is_found_in_the_models_or_the_shared_folder()
    {
        var near = Path.Combine(_folder["models"], "diffusion_models", "wan", "x.safetensors");
        Directory.CreateDirectory(Path.Combine(_folder["models"], "loras", "wan"));
        File.Copy(_folder["style.safetensors"], Path.Combine(_folder["models"], "loras", "wan", "shared.safetensors"));
        Assert.Equal(Path.Combine(_folder["models"], "loras", "wan/shared.safetensors"), new LoraChoice("wan/shared.safetensors", 2).FoundNear(near).Path);
        Assert.Equal("shared.safetensors", new LoraChoice("shared.safetensors").FoundNear(near).Path);
        Assert.Equal(_folder["style.safetensors"], new LoraChoice(_folder["style.safetensors"]).FoundNear(near).Path);

        var loras = Directory.CreateDirectory(Path.Combine(Path.GetDirectoryName(_pipeline.Model.Path)!, "loras")).FullName;
        File.Copy(_folder["style.safetensors"], Path.Combine(loras, "shared.safetensors"), overwrite: true);
        var made = Make("made", "shared.safetensors:0.5");
        Assert.Equal(Path.Combine(loras, "shared.safetensors"), Assert.Single(made.Recipe.Get(RequestFields.Lora)!).Path);
        Assert.True(Same(made, Make("again", $"{_folder["style.safetensors"]}:0.5")));
        // A recipe's file may lie elsewhere today.
        var recipe = RecipeFile.Read(_folder["made.json"]);
        var moved = recipe.Get(RequestFields.Lora)![0] with { Path = "/not/there/shared.safetensors" };
        var request = PartialRequest.Of(recipe).With(RequestFields.Lora, null).With(RequestFields.Lora, new LoraList(moved)).ToRequest(_pipeline.Defaults);
        Assert.True(Same(made, _pipeline.Generate(request, _folder["moved.png"])));
    }

    [Fact]
    public void What_is_wrong_with_a_lora_is_said_before_the_work_and_what_is_left_out_once()
    {
        Assert.Contains("nothing.safetensors", Assert.Throws<NablaGenException>(() => Make("x", _folder["nothing.safetensors"])).Message);
        SafetensorsWriter.Write(_folder["img.safetensors"], new Dictionary<string, Tensor> { ["img_emb.proj.0.diff_b"] = randn(4), ["head.diff_m"] = randn(2, 256) });
        var notes = new Notes();
        _pipeline.Prepare([Request(_folder["img.safetensors"])], notes).Single().Dispose();
        _pipeline.Prepare([Request(_folder["img.safetensors"]), Request(_folder["img.safetensors"])], notes).ToList().ForEach(one => one.Dispose());
        Assert.Equal(["img.safetensors: 1 of 2 keys are left out, for parts that this model does not have: img_emb"], notes.All);
    }

    [Fact]
    public void A_lora_for_few_steps_brings_its_settings_and_flags_override_them()
    {
        File.Copy(_folder["style.safetensors"], _folder["Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32.safetensors"]);
        var file = _folder["Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32.safetensors"];
        var notes = new Notes();
        var request = Request(file);
        var result = _pipeline.Generate(request, _folder["few.png"], progress: notes);
        Assert.Equal((4, 5.0, 1.0, "x0"), (result.Recipe.Steps, result.Recipe.Shift, result.Recipe.Guidance, result.Recipe.Solver));
        Assert.Equal([1000, 750, 500, 250], result.Recipe.Get(RequestFields.Timesteps)!);
        Assert.Equal(
            "Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32.safetensors is made for few steps (lightx2v step and guidance distillation, 4 steps): "
            + "solver x0, shift 5, guidance 1, timesteps [1000, 750, 500, 250]; options override", Assert.Single(notes.All));
        Assert.Equal(result.Recipe, RecipeFile.Read(_folder["few.json"]));
        Assert.Equal(
            result.Recipe.Asked, _pipeline.RecipeOf(PartialRequest.Of(result.Recipe).ToRequest(_pipeline.Defaults)).Asked);

        var mine = new PartialRequest { Prompt = "x", Steps = 6, Guidance = 3 }.With(RequestFields.Lora, new LoraList(new LoraChoice(file))).ToRequest(_pipeline.Defaults);
        Assert.Equal((6, 3.0, 5.0, "x0", null), (mine.Steps, mine.Guidance, mine.Shift, mine.Solver, mine.Timesteps));
        // At strength 0 it is none.
        Assert.Equal("unipc", Request(file + ":0").Solver);
        // Its header names it, too.
        using var scope = NewDisposeScope();
        SafetensorsWriter.Write(
            _folder["renamed.safetensors"], new Dictionary<string, Tensor> { ["blocks.0.norm3.diff"] = randn(256) },
            new Dictionary<string, string> { ["ss_output_name"] = "my_CausVid_mix" });
        Assert.Equal((8, 2.0, 1.0), (Request(_folder["renamed.safetensors"]).Steps, Request(_folder["renamed.safetensors"]).Shift, Request(_folder["renamed.safetensors"]).Guidance));
    }

    public void Dispose()
    {
        _pipeline.Dispose();
        _folder.Dispose();
    }

    private GenerationRequest Request(params string[] loras)
    {
        var texts = loras.Select(lora => KeyValuePair.Create((RequestField)RequestFields.Lora, lora))
            .Append(KeyValuePair.Create((RequestField)RequestFields.Prompt, "a red ball")).Append(KeyValuePair.Create((RequestField)RequestFields.Frames, "1"))
            .Append(KeyValuePair.Create((RequestField)RequestFields.Seed, "5"));
        return RequestFields.Table.Read(texts, FieldSource.CommandLine).ToRequest(_pipeline.Defaults);
    }

    private GenerationResult Make(string name, params string[] loras) =>
        _pipeline.Generate(Request(loras).With(RequestFields.Steps, 1), _folder[name + ".png"]);

    private static bool Same(GenerationResult a, GenerationResult b)
    {
        using var scope = NewDisposeScope();
        return LatentFile.Load(a.LatentsPath!).Latents.eq(LatentFile.Load(b.LatentsPath!).Latents).all().item<bool>();
    }

    private sealed class Notes : IGenerationProgress
    {
        public List<string> All { get; } = [];

        public void OnNote(string note) => All.Add(note);

        public void OnStage(GenerationStage stage, int units)
        {
        }

        public void OnProgress(int done, double? density)
        {
        }
    }
}
