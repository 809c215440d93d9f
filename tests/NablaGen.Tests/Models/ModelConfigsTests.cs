using System.Text.Json.Nodes;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tests.Weights;
using NablaGen.Weights;

namespace NablaGen.Tests.Models;

public sealed class ModelConfigsTests
{
    private const string Dit = """{"dim":64,"ffn_dim":128,"num_heads":2,"num_layers":1}""";

    [Fact]
    public void The_official_files_give_the_presets()
    {
        const string small = """
            {"_class_name":"WanModel","_diffusers_version":"0.30.0","dim":1536,"eps":1e-06,"ffn_dim":8960,"freq_dim":256,"in_dim":16,
            "model_type":"t2v","num_heads":12,"num_layers":30,"out_dim":16,"text_len":512}
            """;
        Assert.Equal(DitConfig.Wan1_3B, ModelConfigs.ParseDit(small, "config.json"));
        Assert.Equal(
            DitConfig.Wan14B,
            ModelConfigs.ParseDit("""{"dim":5120,"ffn_dim":13824,"num_heads":40,"num_layers":40,"window_size":[-1,-1],"patch_size":[1,2,2]}""", "config.json"));
        Assert.Equal(TextEncoderConfig.UmT5Xxl, ModelConfigs.ParseTextEncoder("{}", "t"));
        Assert.Equal(VaeConfig.Wan21, ModelConfigs.ParseVae("{}", "v"));
    }

    [Fact]
    public void The_goldens_configurations_are_read()
    {
        var config = ModelConfigs.ParseDit(Golden("dit", out var dit), "dit");
        Assert.Equal(dit["dim"]!.GetValue<int>(), config.Dim);
        Assert.Equal(
            dit["patch_size"]!.AsArray().Select(size => size!.GetValue<int>()),
            [config.PatchSize.Time, config.PatchSize.Height, config.PatchSize.Width]);
        Assert.Equal(ModelConfigs.ParseTextEncoder(Golden("t5", out var t5), "t5").DimFfn, t5["dim_ffn"]!.GetValue<int>());
        Assert.Equal(ModelConfigs.ParseVae(Golden("vae", out var vae), "vae").Dim, vae["dim"]!.GetValue<int>());
    }

    [Theory]
    [InlineData("model_type", "\"vace\"", "expected one of t2v, i2v, flf2v, ti2v", "found \"vace\"")]
    [InlineData("model_type", "3", "expected a string", "found \"3\"")]
    [InlineData("dim", "\"64\"", "expected a whole number", "found \"64\"")]
    [InlineData("dim", "63", "expected a multiple of \"num_heads\" (2)", "found 63")]
    [InlineData("dim", "62", "even width", "31")]
    [InlineData("dim", "null", "expected a whole number", "found null")]
    [InlineData("num_layers", "0", "expected a whole number from 1", "found \"0\"")]
    [InlineData("num_layers", "99999999999", "expected a whole number from 1", "found \"99999999999\"")]
    [InlineData("num_layers", "1001", "expected at most 1000", "found \"1001\"")]
    [InlineData("ffn_dim", "2147483647", "expected at most 1048576", "found \"2147483647\"")]
    [InlineData("freq_dim", "7", "expected an even number", "found 7")]
    [InlineData("out_dim", "8", "expected the same as \"in_dim\" (16)", "found 8")]
    [InlineData("patch_size", "[1,2]", "expected 3 numbers", "found 2")]
    [InlineData("patch_size", "[1,2,true]", "expected a list of whole numbers", "found true")]
    [InlineData("window_size", "[3,3]", "expected [-1, -1]", "found [3, 3]")]
    [InlineData("qk_norm", "1", "expected true or false", "found \"1\"")]
    [InlineData("eps", "\"x\"", "expected a number", "found \"x\"")]
    [InlineData("eps", "0", "expected a number above 0", "found 0")]
    public void A_wrong_value_is_named(string key, string value, string expected, string found)
    {
        var json = JsonNode.Parse(Dit)!.AsObject();
        json[key] = JsonNode.Parse(value);
        RawFile.Fault(() => ModelConfigs.ParseDit(json.ToJsonString(), "my/config.json"), "my/config.json", $"\"{key}\"", expected, found);
    }

    [Fact]
    public void A_model_that_is_told_pictures_has_channels_for_their_mask_and_latents()
    {
        var json = JsonNode.Parse(Dit)!.AsObject();
        json["model_type"] = "i2v";
        RawFile.Fault(() => ModelConfigs.ParseDit(json.ToJsonString(), "my/config.json"), "my/config.json", "\"in_dim\"", "expected 36", "found 16");
        json["in_dim"] = 36;
        Assert.Equal(20, ModelConfigs.ParseDit(json.ToJsonString(), "my/config.json").GuideChannels);
    }

    [Theory]
    [InlineData("dim")]
    [InlineData("ffn_dim")]
    [InlineData("num_heads")]
    [InlineData("num_layers")]
    public void A_missing_key_is_named(string key)
    {
        var json = JsonNode.Parse(Dit)!.AsObject();
        json.Remove(key);
        RawFile.Fault(() => ModelConfigs.ParseDit(json.ToJsonString(), "config.json"), "config.json", $"\"{key}\" is missing");
    }

    [Theory]
    [InlineData("""{"num_heads":7}""", "\"dim_attn\"", "found 4096")]
    [InlineData("""{"num_buckets":31}""", "\"num_buckets\"", "found 31")]
    public void A_wrong_text_encoder_is_named(string json, params string[] parts) =>
        RawFile.Fault(() => ModelConfigs.ParseTextEncoder(json, "n.json"), ["n.json", .. parts]);

    [Theory]
    [InlineData("""{"z_dim":4}""", "\"latents_mean\"", "expected 4", "found 16")]
    [InlineData("""{"dim_mult":[]}""", "\"dim_mult\"", "none")]
    [InlineData("""{"dim_mult":[1,1,1,1,1,1,1,1,1]}""", "\"dim_mult\"", "1 to 8 levels", "found 9")]
    [InlineData("""{"dim_mult":[1,2,100000,4]}""", "\"dim_mult\"", "from 1 to 1024", "found \"100000\"")]
    [InlineData("""{"num_res_blocks":2000000000}""", "\"num_res_blocks\"", "at most 1000")]
    [InlineData("""{"dim_mult":[1,2]}""", "\"temperal_downsample\"", "expected 1", "found 3")]
    [InlineData("""{"temperal_downsample":[1,0,1]}""", "\"temperal_downsample\"", "true and false", "found \"1\"")]
    [InlineData("""{"z_dim":1,"latents_mean":[0],"latents_std":[0]}""", "\"latents_std\"", "above 0")]
    public void A_wrong_vae_is_named(string json, params string[] parts) =>
        RawFile.Fault(() => ModelConfigs.ParseVae(json, "n.json"), ["n.json", .. parts]);

    private static string Golden(string name, out JsonObject json)
    {
        using var file = SafetensorsFile.Open(Path.Combine(GoldenFolder.Path, name + ".safetensors"));
        json = JsonNode.Parse(file.Metadata["config"])!.AsObject();
        return file.Metadata["config"];
    }
}
