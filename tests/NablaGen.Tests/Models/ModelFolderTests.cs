using NablaGen.Generation;
using NablaGen.Models.Wan;
using NablaGen.Tests.Weights;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

public sealed class ModelFolderTests : IDisposable
{
    private const string Config = """
        {"_class_name":"WanModel","_diffusers_version":"0.30.0","model_type":"t2v","dim":64,"ffn_dim":128,"freq_dim":32,"in_dim":16,"out_dim":16,
        "num_heads":2,"num_layers":1,"text_len":512,"eps":1e-06}
        """;

    private readonly RawFile _raw = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public ModelFolderTests()
    {
        _raw.Write("config.json", Config);
        Weights("diffusion_pytorch_model.safetensors", "head.weight");
        Weights("models_t5_umt5-xxl-enc-bf16.safetensors", "norm.weight");
        Weights("Wan2.1_VAE.safetensors", "conv1.weight");
        _raw.Write("google/umt5-xxl/spiece.model", "pieces");
    }

    [Fact]
    public void A_whole_folder_opens()
    {
        var folder = WanVideoModel.Open(_raw.Folder);
        Assert.Equal(Path.GetFileName(_raw.Folder), folder.Name);
        Assert.Equal(64, folder.DitConfig.Dim);
        Assert.Equal(4096, folder.TextEncoderConfig.Dim);
        Assert.Equal(96, folder.VaeConfig.Dim);
        var defaults = GenerationDefaults.Of(folder.Defaults);
        Assert.Equal((832, 480, 81), (defaults.Width, defaults.Height, defaults.Frames));
        Assert.StartsWith("色调艳丽", defaults.NegativePrompt, StringComparison.Ordinal);
        Assert.True(File.Exists(folder.TokenizerPath));
        folder.Check(Shapes("head.weight"), Shapes("norm.weight"), Shapes("conv1.weight"));
    }

    [Fact]
    public void Nablagen_json_changes_sizes_and_defaults()
    {
        _raw.Write("nablagen.json", """
            {"name":"tiny","text_encoder":{"dim":4096,"num_layers":2},"vae":{"dim":8},"defaults":{"width":256,"frames":17,"attention":"nabla-0.7"}}
            """);
        var folder = WanVideoModel.Open(_raw.Folder);
        Assert.Equal("tiny", folder.Name);
        Assert.Equal((2, 64), (folder.TextEncoderConfig.NumLayers, folder.TextEncoderConfig.NumHeads));
        Assert.Equal((8, 16), (folder.VaeConfig.Dim, folder.VaeConfig.ZDim));
        var defaults = GenerationDefaults.Of(folder.Defaults);
        Assert.Equal((256, 480, 17, "nabla-0.7"), (defaults.Width, defaults.Height, defaults.Frames, $"{defaults.Attention}"));
    }

    [Fact]
    public void Shards_and_pth_files_will_do()
    {
        File.Move(_raw.At("diffusion_pytorch_model.safetensors"), _raw.At("one.safetensors"));
        _raw.Write("diffusion_pytorch_model.safetensors.index.json", """{"weight_map":{"head.weight":"one.safetensors"}}""");
        File.Delete(_raw.At("Wan2.1_VAE.safetensors"));
        _raw.Write("Wan2.1_VAE.pth", PthFixtures.Protocol2);
        var folder = WanVideoModel.Open(_raw.Folder);
        using var dit = folder.OpenTransformer();
        Assert.IsType<ShardedCheckpoint>(dit);
        using var vae = folder.OpenVae();
        Assert.IsType<PthFile>(vae);
        Assert.Matches("^[0-9a-f]{16}$", folder.ComputeHash());
    }

    [Theory]
    [InlineData("\"sparse_algo\":\"nabla-0.7\"", null, "nabla-0.7")]
    [InlineData("\"sparse_algo\":\"nabla-0.6_sta-11-3-3\"", null, "nabla-0.6_sta-11-3-3")]
    [InlineData("\"sparse_algo\":\"nabla-0.7\"", "nabla-0.5", "nabla-0.5")]
    [InlineData("\"sparse_algo\":\"nabla-0.7\"", "dense", "nabla-0.7")]
    [InlineData("\"sparse_algo\":null", null, "dense")]
    [InlineData("\"sparse_algo\":\"\"", null, "dense")]
    public void The_attention_that_a_fine_tune_names_is_the_default(string field, string? own, string expected)
    {
        _raw.Write("config.json", Config.Replace("\"dim\":64", $"\"dim\":64,{field}", StringComparison.Ordinal));
        if (own is not null)
        {
            _raw.Write("nablagen.json", $$$"""{"defaults":{"attention":"{{{own}}}"}}""");
        }

        var folder = WanVideoModel.Open(_raw.Folder);
        Assert.Equal(expected, $"{GenerationDefaults.Of(folder.Defaults).Attention}");
        Assert.Equal(field.Contains("nabla", StringComparison.Ordinal), folder.Summary.Contains("made with attention nabla-0.", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("\"sparse_algo\":\"nabla-/etc/passwd\"")]
    [InlineData("\"sparse_algo\":\"flash\"")]
    [InlineData("\"sparse_algo\":7")]
    public void An_attention_that_is_none_is_named(string field)
    {
        _raw.Write("config.json", Config.Replace("\"dim\":64", $"\"dim\":64,{field}", StringComparison.Ordinal));
        RawFile.Fault(() => WanVideoModel.Open(_raw.Folder), _raw.At("config.json"), "\"sparse_algo\"", "expected");
    }

    [Theory]
    [InlineData("config.json", "\"num_layers\":1", "\"num_layers\":900", "\"num_layers\" is 900", "has 1 tensors")]
    [InlineData("config.json", "\"num_layers\":1", "\"num_layers\":2000000000", "\"num_layers\"", "at most 1000")]
    [InlineData("config.json", "\"dim\":64", "\"dim\":2147483640", "\"dim\"", "at most 1048576")]
    [InlineData("nablagen.json", "", """{"vae":{"num_res_blocks":900}}""", "\"vae.num_res_blocks\" is 900", "has 1 tensors")]
    [InlineData("nablagen.json", "", """{"text_encoder":{"num_layers":900}}""", "\"text_encoder.num_layers\" is 900", "has 1 tensors")]
    public void Sizes_that_the_weights_cannot_have_are_refused_before_anything_is_built(string file, string old, string changed, params string[] parts)
    {
        _raw.Write(file, old.Length == 0 ? changed : Config.Replace(old, changed, StringComparison.Ordinal));
        RawFile.Fault(
            () => WanVideoModel.Open(_raw.Folder).Check(
                file == "config.json" ? Unbuilt : Shapes("head.weight"), changed.Contains("text", StringComparison.Ordinal) ? Unbuilt : Shapes("norm.weight"), Unbuilt),
            [_raw.At(file), .. parts]);

        static IReadOnlyDictionary<string, long[]> Unbuilt() => throw new InvalidOperationException("built");
    }

    [Theory]
    [InlineData("config.json", "the transformer's configuration (expected config.json)")]
    [InlineData("diffusion_pytorch_model.safetensors", "expected diffusion_pytorch_model.safetensors or diffusion_pytorch_model.safetensors.index.json")]
    [InlineData("models_t5_umt5-xxl-enc-bf16.safetensors", "models_t5_umt5-xxl-enc-bf16.safetensors or models_t5_umt5-xxl-enc-bf16.pth")]
    [InlineData("Wan2.1_VAE.safetensors", "the VAE (expected Wan2.1_VAE.safetensors or Wan2.1_VAE.pth or Wan2.2_VAE.safetensors or Wan2.2_VAE.pth)")]
    [InlineData("google/umt5-xxl/spiece.model", "the tokenizer (expected google/umt5-xxl/spiece.model)")]
    public void A_missing_piece_is_named(string file, string part)
    {
        File.Delete(_raw.At(file));
        RawFile.Fault(() => WanVideoModel.Open(_raw.Folder), _raw.Folder, "incomplete", part);
    }

    [Fact]
    public void All_missing_pieces_share_the_line()
    {
        File.Delete(_raw.At("config.json"));
        File.Delete(_raw.At("Wan2.1_VAE.safetensors"));
        RawFile.Fault(() => WanVideoModel.Open(_raw.Folder), "config.json", "Wan2.1_VAE.pth");
    }

    [Fact]
    public void No_folder() => RawFile.Fault(() => WanVideoModel.Open(_raw.At("none")), _raw.At("none"), "no such model folder");

    [Fact]
    public void A_file_for_a_folder() => RawFile.Fault(() => WanVideoModel.Open(_raw.At("config.json")), "expected a model folder or a transformer's weights", "found another file");

    [Fact]
    public void The_diffusers_layout_is_recognised()
    {
        using var diffusers = new RawFile();
        diffusers.Write("model_index.json", "{}");
        diffusers.Write("transformer/config.json", "{}");
        diffusers.Write("vae/config.json", "{}");
        RawFile.Fault(() => WanVideoModel.Open(diffusers.Folder), diffusers.Folder, "Diffusers layout", "incomplete",
            "expected transformer/diffusion_pytorch_model.safetensors or transformer/diffusion_pytorch_model.safetensors.index.json", "tokenizer/tokenizer.json");
    }

    [Fact]
    public void Models_that_do_not_fit_one_another()
    {
        _raw.Write("nablagen.json", """{"text_encoder":{"dim":128}}""");
        RawFile.Fault(() => WanVideoModel.Open(_raw.Folder), _raw.At("config.json"), "\"text_dim\"", "expected 128", "found 4096");
        _raw.Write("nablagen.json", """{"vae":{"z_dim":2,"latents_mean":[0,0],"latents_std":[1,1]}}""");
        RawFile.Fault(() => WanVideoModel.Open(_raw.Folder), _raw.At("config.json"), "\"in_dim\"", "expected 2", "found 16");
    }

    [Fact]
    public void The_check_names_the_bad_file()
    {
        var folder = WanVideoModel.Open(_raw.Folder);
        RawFile.Fault(
            () => folder.Check(Shapes("head.weight"), Shapes("norm.weight"), Shapes("conv2.weight")),
            folder.VaePath, "\"conv2.weight\"", "\"conv1.weight\"");
        File.Delete(folder.TokenizerPath);
        RawFile.Fault(() => folder.Check(Shapes("head.weight"), Shapes("norm.weight"), Shapes("conv1.weight")), folder.TokenizerPath, "no such file");
    }

    public void Dispose()
    {
        _scope.Dispose();
        _raw.Dispose();
    }

    private static Func<IReadOnlyDictionary<string, long[]>> Shapes(string key) => () => new Dictionary<string, long[]> { [key] = [2] };

    private void Weights(string file, string key) => SafetensorsWriter.Write(_raw.At(file), [KeyValuePair.Create(key, ones(2))]);
}
