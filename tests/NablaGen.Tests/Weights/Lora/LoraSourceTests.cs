using NablaGen.Denoising;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using NablaGen.Weights;
using NablaGen.Weights.Lora;
using static TorchSharp.torch;

namespace NablaGen.Tests.Weights.Lora;

/// <summary>LoRAs as programs write them, merged into the golden transformer.</summary>
public sealed class LoraSourceTests : IDisposable
{
    private static float[]? _latents;
    private static float[]? _own;

    private readonly TempFolder _folder = new();
    private readonly Golden _golden = Golden.Open("dit");
    private readonly TorchSharp.DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Dialects => [.. LoraWriter.Dialects];

    private ITensorSource Model => _golden.Source.Under("weights.");

    [Theory]
    [MemberData(nameof(Dialects))]
    public void Each_dialect_gives_the_same_weights_and_latents_to_the_bit(string dialect)
    {
        var writer = new LoraWriter(Model, 1);
        writer.Write(_folder["lora.safetensors"], dialect);
        using var merged = Open(new LoraChoice(_folder["lora.safetensors"]));
        Assert.Equal(writer.Changed.Order(), merged.Changed.Order());
        foreach (var key in Model.Entries.Keys)
        {
            var expected = merged.Changed.Contains(key) ? writer.Merged(Model, key) : Model.Read(key);
            AssertSame(expected, merged.Read(key), key);
        }

        // The same latents as every other dialect's, and not the model's own.
        var latents = Latents(merged).data<float>().ToArray();
        Assert.Equal(_latents ??= latents, latents);
        Assert.NotEqual(_own ??= Latents(Model).data<float>().ToArray(), latents);
    }

    [Fact]
    public void Strengths_multiply_and_several_add_up()
    {
        var (first, second) = (new LoraWriter(Model, 1), new LoraWriter(Model, 2));
        first.Write(_folder["first.safetensors"], "kohya");
        second.Write(_folder["second.safetensors"], "diffusers");
        using var merged = Open(new LoraChoice(_folder["first.safetensors"], 0.5), new LoraChoice(_folder["second.safetensors"], -2));
        foreach (var key in first.Changed)
        {
            var expected = first.Merged(Model, key, 0.5) + second.Merged(Model, key, -2) - Model.Read(key).to(ScalarType.Float32);
            Golden.AssertClose(merged.Read(key), expected, 1e-6);
        }
    }

    [Fact]
    public void Strength_0_leaves_bits_and_types_as_they_are()
    {
        new LoraWriter(Model, 1).Write(_folder["lora.safetensors"], "comfy");
        using var merged = Open(new LoraChoice(_folder["lora.safetensors"], 0));
        Assert.Empty(merged.Changed);
        Assert.All(Model.Entries, entry => Assert.Equal(entry.Value, merged.Entries[entry.Key]));
        AssertSame(Model.Read("blocks.0.self_attn.q.weight"), merged.Read("blocks.0.self_attn.q.weight"), "q");
    }

    [Fact]
    public void Merged_weights_go_into_any_type_and_part_of_a_model()
    {
        var writer = new LoraWriter(Model, 1);
        writer.Write(_folder["lora.safetensors"], "comfy");
        using var merged = Open(new LoraChoice(_folder["lora.safetensors"]));
        var expected = writer.Merged(Model, "blocks.1.ffn.2.weight");
        var target = zeros_like(expected, dtype: ScalarType.BFloat16);
        merged.Under("blocks.1.").CopyTo("ffn.2.weight", target);
        AssertSame(expected.to(ScalarType.BFloat16), target, "ffn");
        // The last but one layer's own scratch is larger than this one's.
        var small = zeros(Model.Entries["head.head.weight"].Shape, dtype: ScalarType.BFloat16);
        merged.CopyTo("head.head.weight", small);
        AssertSame(writer.Merged(Model, "head.head.weight").to(ScalarType.BFloat16), small, "head");
        RawFile.Fault(() => merged.CopyTo("head.head.weight", target), "has the wrong shape");
    }

    [Fact]
    public void Companions_change_norms_biases_and_modulations_and_what_the_model_lacks_is_named_once()
    {
        var shapes = Model.Entries.ToDictionary(entry => entry.Key, entry => entry.Value.Shape);
        var width = shapes["blocks.0.norm3.weight"][0];
        Dictionary<string, Tensor> tensors = new()
        {
            ["diffusion_model.blocks.0.norm3.diff"] = randn(width),
            ["diffusion_model.blocks.0.norm3.diff_b"] = randn(width),
            ["diffusion_model.blocks.0.self_attn.norm_q.diff"] = randn(width),
            ["diffusion_model.blocks.0.diff_m"] = randn(1, 6, width),
            ["diffusion_model.blocks.1.modulation.diff"] = randn(6, width),
            ["diffusion_model.head.diff_m"] = randn(1, 2, width),
            ["diffusion_model.head.head.diff"] = randn(shapes["head.head.weight"]),
            ["diffusion_model.head.head.diff_b"] = randn(shapes["head.head.bias"]),
            ["diffusion_model.time_projection.1.diff_b"] = randn(shapes["time_projection.1.bias"]),
            ["diffusion_model.blocks.1.ffn.0.lora_A.weight"] = zeros([2, width]),
            ["diffusion_model.blocks.1.ffn.0.lora_B.weight"] = zeros([shapes["blocks.1.ffn.0.weight"][0], 2]),
            ["diffusion_model.blocks.1.ffn.0.lora_B.bias"] = randn(shapes["blocks.1.ffn.0.bias"]),
            ["transformer.blocks.1.norm2.diff"] = randn(width),
            ["diffusion_model.blocks.0.cross_attn.k_img.lora_A.weight"] = randn(2, width),
            ["diffusion_model.blocks.0.cross_attn.k_img.lora_B.weight"] = randn(width, 2),
            ["diffusion_model.blocks.1.cross_attn.norm_k_img.diff"] = randn(width),
            ["diffusion_model.img_emb.proj.0.diff_b"] = randn(1280),
            ["transformer.blocks.1.attn2.add_v_proj.lora_A.weight"] = randn(2, width),
        };
        SafetensorsWriter.Write(_folder["lora.safetensors"], tensors);
        using var merged = Open(new LoraChoice(_folder["lora.safetensors"], 0.5));
        foreach (var (key, tensor) in new Dictionary<string, string>
        {
            ["diffusion_model.blocks.0.norm3.diff"] = "blocks.0.norm3.weight",
            ["diffusion_model.blocks.0.norm3.diff_b"] = "blocks.0.norm3.bias",
            ["diffusion_model.blocks.0.self_attn.norm_q.diff"] = "blocks.0.self_attn.norm_q.weight",
            ["diffusion_model.blocks.0.diff_m"] = "blocks.0.modulation",
            ["diffusion_model.blocks.1.modulation.diff"] = "blocks.1.modulation",
            ["diffusion_model.head.diff_m"] = "head.modulation",
            ["diffusion_model.head.head.diff"] = "head.head.weight",
            ["diffusion_model.head.head.diff_b"] = "head.head.bias",
            ["diffusion_model.time_projection.1.diff_b"] = "time_projection.1.bias",
            ["diffusion_model.blocks.1.ffn.0.lora_B.bias"] = "blocks.1.ffn.0.bias",
            ["transformer.blocks.1.norm2.diff"] = "blocks.1.norm3.weight",
        })
        {
            var weight = Model.Read(tensor).to(ScalarType.Float32);
            Golden.AssertClose(merged.Read(tensor), weight + (tensors[key] * 0.5f).reshape(weight.shape), 1e-6);
        }

        Assert.Equal("lora.safetensors: 5 of 18 keys are left out, for parts that this model does not have: img_emb, k_img, norm_k_img, v_img", Assert.Single(merged.Notes));
    }

    [Theory]
    [InlineData("diffusion_model.blocks.0.self_attn.q.dora_scale", "DoRA")]
    [InlineData("diffusion_model.blocks.0.self_attn.q.set_weight", "weights set instead of changed")]
    [InlineData("diffusion_model.patch_embedding.reshape_weight", "weights of another shape")]
    [InlineData("lora_unet_blocks_0_self_attn_q.lokr_w1", "LoKr")]
    [InlineData("lora_unet_blocks_0_self_attn_q.hada_w1_a", "LoHa")]
    [InlineData("lora_unet_blocks_0_self_attn_q.lora_mid.weight", "three factors")]
    [InlineData("diffusion_model.blocks.0.self_attn.q.weight", "is not understood")]
    [InlineData("diffusion_model.blocks.99.self_attn.q.lora_A.weight", "belongs to no tensor of this model")]
    [InlineData("lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", "belongs to no tensor of this model")]
    [InlineData("diffusion_model.blocks.0.self_attn.q.lora_A.weight", "stands alone")]
    [InlineData("diffusion_model.blocks.0.self_attn.q.alpha", "stands alone")]
    public void A_key_that_cannot_be_applied_is_named(string key, string why)
    {
        SafetensorsWriter.Write(_folder["lora.safetensors"], [KeyValuePair.Create(key, randn(4, 4))]);
        RawFile.Fault(() => Open(new LoraChoice(_folder["lora.safetensors"])), _folder["lora.safetensors"], key, why);
    }

    [Fact]
    public void Shapes_and_types_are_checked_before_anything_is_read()
    {
        var q = Model.Entries["blocks.0.self_attn.q.weight"].Shape;
        void Refused(Tensor down, Tensor up, string why, Tensor? alpha = null)
        {
            SafetensorsWriter.Write(_folder["lora.safetensors"], new[]
            {
                ("blocks.0.self_attn.q.lora_A.weight", down), ("blocks.0.self_attn.q.lora_B.weight", up), ("blocks.0.self_attn.q.alpha", alpha ?? tensor(1f)),
            }.Select(pair => KeyValuePair.Create(pair.Item1, pair.Item2)));
            RawFile.Fault(() => Open(new LoraChoice(_folder["lora.safetensors"])), "blocks.0.self_attn.q", why);
        }

        Refused(randn(4, q[1] + 1), randn(q[0], 4), "does not fit");
        Refused(randn(4, q[1]), randn(q[0] + 1, 4), "does not fit");
        Refused(randn(4, q[1]), randn(q[0], 3), "rank 4");
        Refused(randn(4, q[1]), randn(q[0], 4), "no finite number", tensor(float.NaN));
        Refused(randn(4, q[1]), randn(q[0], 4), "expected one number", randn(2));
        Refused(ones([4, q[1]], ScalarType.Int32), randn(q[0], 4), "wrong type");
        SafetensorsWriter.Write(_folder["twice.safetensors"], new[] { "blocks.0.norm3.diff", "lora_unet_blocks_0_norm3.diff" }.Select(key => KeyValuePair.Create(key, randn(q[0]))));
        RawFile.Fault(() => Open(new LoraChoice(_folder["twice.safetensors"])), "both change \"blocks.0.norm3.weight\"");
        RawFile.Fault(() => Open(new LoraChoice(_folder["none.safetensors"])), _folder["none.safetensors"]);
        SafetensorsWriter.Write(_folder["img.safetensors"], new Dictionary<string, Tensor> { ["img_emb.proj.0.diff_b"] = randn(4) });
        RawFile.Fault(() => Open(new LoraChoice(_folder["img.safetensors"])), "has no effect", "img_emb");
        // Prefixes are not taken off for ever.
        SafetensorsWriter.Write(_folder["deep.safetensors"], [KeyValuePair.Create(string.Concat(Enumerable.Repeat("pipe.dit.", 5000)) + "norm3.diff", randn(4))]);
        RawFile.Fault(() => Open(new LoraChoice(_folder["deep.safetensors"])), "belongs to no tensor");
    }

    [Fact]
    public void A_folder_of_pefts_gives_the_references_output()
    {
        var folder = Path.Combine(GoldenFolder.Path, "checkpoints");
        using var outputs = Golden.Open("checkpoints/outputs");
        var config = ModelConfigs.ParseDit(File.ReadAllText(Path.Combine(folder, "config.json")), "config.json");
        Tensor Output(params LoraChoice[] loras)
        {
            var source = SafetensorsFile.Open(Path.Combine(folder, "base.safetensors"));
            using var merged = LoraSource.Over(source, loras, WanLoraNames.Of(source));
            using var model = new WanModel(config, ModuleOptions.Cpu);
            CheckpointLoader.Load(merged, model);
            var x = outputs["x"];
            using var run = new DitRun(config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], new NablaGen.Attention.DenseAttention(null), ModuleOptions.Cpu);
            return model.forward(x.unsqueeze(0), outputs["t"], outputs["context"].unsqueeze(0), run).squeeze(0).MoveToOuterDisposeScope();
        }

        using var noGrad = no_grad();
        Golden.AssertClose(Output(), outputs["out"], 1e-5);
        var peft = Path.Combine(folder, "lora-peft");
        Golden.AssertClose(Output(new LoraChoice(peft)), outputs["out.lora"], 1e-5);
        Golden.AssertClose(Output(new LoraChoice(Path.Combine(peft, "adapter_model.safetensors"))), outputs["out.lora"], 1e-5);
        Assert.True(Golden.RelativeError(Output(new LoraChoice(peft, 0.5)), outputs["out.lora"]) > 1e-4);
        Assert.True(Golden.RelativeError(outputs["out"], outputs["out.lora"]) > 1e-3);
    }

    [Theory]
    [InlineData("""{"lora_alpha": 8, "use_rslora": true}""", 4)]
    [InlineData("""{"lora_alpha": 8, "use_rslora": false}""", 2)]
    [InlineData("""{"lora_alpha": 8, "alpha_pattern": {"self_attn.q": 2}}""", 0.5)]
    [InlineData("""{"lora_alpha": 8, "alpha_pattern": {"ttn.q": 2, "x.*": 1}}""", 2)]
    [InlineData("{}", 1)]
    public void Pefts_settings_say_the_factor(string config, double factor)
    {
        var q = Model.Entries["blocks.0.self_attn.q.weight"].Shape;
        var (a, b) = (randn(4, q[1]), randn(q[0], 4));
        Directory.CreateDirectory(_folder["peft"]);
        File.WriteAllText(_folder["peft/adapter_config.json"], config);
        SafetensorsWriter.Write(_folder["peft/adapter_model.safetensors"], new Dictionary<string, Tensor>
        {
            ["base_model.model.blocks.0.self_attn.q.lora_A.weight"] = a,
            ["base_model.model.blocks.0.self_attn.q.lora_B.weight"] = b,
        });
        using var merged = Open(new LoraChoice(_folder["peft"]));
        var expected = Model.Read("blocks.0.self_attn.q.weight").to(ScalarType.Float32) + b.mm(a) * (float)factor;
        Golden.AssertClose(merged.Read("blocks.0.self_attn.q.weight"), expected, 1e-6);
    }

    [Theory]
    [InlineData("""{"use_dora": true}""", "use_dora")]
    [InlineData("""{"fan_in_fan_out": true}""", "fan_in_fan_out")]
    [InlineData("""{"peft_type": "LOHA"}""", "LOHA")]
    [InlineData("""{"lora_alpha": "x"}""", "lora_alpha")]
    [InlineData("[]", "an object")]
    [InlineData("{", "not JSON")]
    public void Settings_that_cannot_be_followed_are_named(string config, string why)
    {
        Directory.CreateDirectory(_folder["peft"]);
        File.WriteAllText(_folder["peft/adapter_config.json"], config);
        SafetensorsWriter.Write(_folder["peft/adapter_model.safetensors"], new Dictionary<string, Tensor> { ["blocks.0.norm3.diff"] = randn(4) });
        RawFile.Fault(() => Open(new LoraChoice(_folder["peft"])), why);
    }

    public void Dispose()
    {
        _scope.Dispose();
        _golden.Dispose();
        _folder.Dispose();
    }

    private LoraSource Open(params LoraChoice[] loras) => LoraSource.Over(Model, loras, WanLoraNames.Of(Model));

    private static void AssertSame(Tensor expected, Tensor actual, string what)
    {
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.True(expected.eq(actual).all().item<bool>(), what);
    }

    // Two steps with the transformer.
    private Tensor Latents(ITensorSource weights)
    {
        using var scope = NewDisposeScope();
        var model = new WanModel(ModelConfigs.ParseDit(_golden.Metadata("config"), "dit"), ModuleOptions.Cpu);
        CheckpointLoader.Load(weights, model);
        using var sampler = new LatentSampler(model);
        using var noise = LatentSampler.Noise([model.Traits.Channels, 1, 8, 8], 4);
        var request = GoldenSampling.Request("dense", steps: 2) with { Guidance = 1 };
        return sampler.Sample(request, noise, _golden["context"].unsqueeze(0), null).MoveToOuterDisposeScope();
    }
}
