using System.IO.Compression;
using System.Text.Json;
using System.Text.RegularExpressions;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tests.Weights;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Layouts;

/// <summary>Writes the golden model as other programs store it. The names here are written from those programs' own, not from NablaGen's tables.</summary>
internal static partial class LayoutFolders
{
    private static readonly (string Wan, string Diffusers)[] TransformerNames =
    [
        ("img_emb.proj.0.", "condition_embedder.image_embedder.norm1."), ("img_emb.proj.1.", "condition_embedder.image_embedder.ff.net.0.proj."),
        ("img_emb.proj.3.", "condition_embedder.image_embedder.ff.net.2."), ("img_emb.proj.4.", "condition_embedder.image_embedder.norm2."),
        ("img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"), (".cross_attn.k_img.", ".attn2.add_k_proj."), (".cross_attn.v_img.", ".attn2.add_v_proj."),
        (".cross_attn.norm_k_img.", ".attn2.norm_added_k."),
        ("text_embedding.0.", "condition_embedder.text_embedder.linear_1."), ("text_embedding.2.", "condition_embedder.text_embedder.linear_2."),
        ("time_embedding.0.", "condition_embedder.time_embedder.linear_1."), ("time_embedding.2.", "condition_embedder.time_embedder.linear_2."),
        ("time_projection.1.", "condition_embedder.time_proj."), ("head.modulation", "scale_shift_table"), ("head.head.", "proj_out."),
        (".self_attn.q.", ".attn1.to_q."), (".self_attn.k.", ".attn1.to_k."), (".self_attn.v.", ".attn1.to_v."), (".self_attn.o.", ".attn1.to_out.0."),
        (".self_attn.", ".attn1."), (".cross_attn.q.", ".attn2.to_q."), (".cross_attn.k.", ".attn2.to_k."), (".cross_attn.v.", ".attn2.to_v."),
        (".cross_attn.o.", ".attn2.to_out.0."), (".cross_attn.", ".attn2."), (".norm3.", ".norm2."), (".ffn.0.", ".ffn.net.0.proj."),
        (".ffn.2.", ".ffn.net.2."), (".modulation", ".scale_shift_table"),
    ];

    /// <summary>Diffusers' folder, the text encoder in two shards.</summary>
    public static void Diffusers(string official, string folder)
    {
        var json = NablaGenJson.Open(Path.Combine(official, NablaGenJson.FileName));
        var experts = Directory.Exists(Path.Combine(official, "high_noise_model"));
        foreach (var part in new[] { "transformer", "text_encoder", "vae", "tokenizer" })
        {
            Directory.CreateDirectory(Path.Combine(folder, part));
        }

        File.WriteAllText(Path.Combine(folder, "model_index.json"), JsonSerializer.Serialize(new { boundary_ratio = json.Boundary }));
        // The first is the high-noise expert.
        foreach (var (own, part) in experts ? [("high_noise_model", "transformer"), ("low_noise_model", "transformer_2")] : new[] { ("", "transformer") })
        {
            DiffusersTransformer(Path.Combine(official, own), Path.Combine(folder, part));
        }

        var vae = VaeFile(official);
        Write(Path.Combine(folder, "vae", "diffusion_pytorch_model.safetensors"), Weights(official, vae),
            key => json.Vae.HasLevelShortcuts ? DiffusersVae22(key, json.Vae.NumResBlocks) : DiffusersVae(key, json.Vae.NumResBlocks + 2));
        if (ImageEncoderOf(official) is { } image)
        {
            Directory.CreateDirectory(Path.Combine(folder, "image_encoder"));
            Write(Path.Combine(folder, "image_encoder", "model.safetensors"), image, key => key);
        }

        var text = Weights(official, GoldenModelFolder.TextEncoderFile).Select(weight => KeyValuePair.Create(HuggingFace(weight.Key), weight.Value)).ToList();
        string[] shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
        for (var shard = 0; shard < 2; shard++)
        {
            Write(Path.Combine(folder, "text_encoder", shards[shard]), text.Where((_, i) => i % 2 == shard), key => key);
        }

        File.WriteAllText(Path.Combine(folder, "text_encoder", "model.safetensors.index.json"), JsonSerializer.Serialize(new
        {
            weight_map = text.Select((weight, i) => (weight.Key, Shard: shards[i % 2])).ToDictionary(pair => pair.Key, pair => pair.Shard),
        }));
        File.Copy(Tokenizer(official), Path.Combine(folder, "tokenizer", "spiece.model"));
    }

    private static void DiffusersTransformer(string official, string folder)
    {
        Directory.CreateDirectory(folder);
        var config = Config(official);
        File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(new
        {
            _class_name = "WanTransformer3DModel",
            num_attention_heads = config.NumHeads,
            attention_head_dim = config.HeadDim,
            num_layers = config.NumLayers,
            qk_norm = "rms_norm_across_heads",
            eps = config.Eps,
            text_len = config.TextLen,
            added_kv_proj_dim = (int?)null,
        }));
        Write(Path.Combine(folder, "diffusion_pytorch_model.safetensors"), Weights(official, GoldenModelFolder.DitFile), DiffusersTransformer);
    }

    /// <summary>ComfyUI's models directory with names that say nothing; the transformer's file.</summary>
    public static string Comfy(string official, string folder)
    {
        foreach (var part in new[] { "diffusion_models", "text_encoders", "vae" })
        {
            Directory.CreateDirectory(Path.Combine(folder, part));
        }

        var transformer = Path.Combine(folder, "diffusion_models", "a.safetensors");
        var experts = Directory.Exists(Path.Combine(official, "high_noise_model"));
        foreach (var (own, name) in experts ? [("high_noise_model", "wan_HIGH_fp16"), ("low_noise_model", "wan-LOW_fp16")] : new[] { ("", "a") })
        {
            transformer = Path.Combine(folder, "diffusion_models", name + ".safetensors");
            Write(transformer, Weights(Path.Combine(official, own), GoldenModelFolder.DitFile), key => "model.diffusion_model." + key);
            CopyConfig(Path.Combine(official, own), Path.Combine(folder, "diffusion_models"));
        }

        if (ImageEncoderOf(official) is { } image)
        {
            Directory.CreateDirectory(Path.Combine(folder, "clip_vision"));
            Write(Path.Combine(folder, "clip_vision", "d.safetensors"), image, key => key);
        }

        var vocabulary = tensor(File.ReadAllBytes(Tokenizer(official)));
        Write(Path.Combine(folder, "text_encoders", "b.safetensors"),
            Weights(official, GoldenModelFolder.TextEncoderFile).Select(weight => KeyValuePair.Create(HuggingFace(weight.Key), weight.Value))
                .Append(KeyValuePair.Create("spiece_model", vocabulary)), key => key);
        // A narrower one, which does not fit, and something else.
        Write(Path.Combine(folder, "text_encoders", "large.safetensors"), [KeyValuePair.Create("text_model.embeddings.weight", zeros(4096, 256))], key => key);
        File.WriteAllText(Path.Combine(folder, "text_encoders", "broken.safetensors"), "not a file of tensors");
        Write(Path.Combine(folder, "vae", "c.safetensors"), Weights(official, VaeFile(official)), key => key);
        return transformer;
    }

    /// <summary>A transformer and a text encoder as GGUF, in bfloat16 and float32, the VAE in a folder beside them; the transformer's file.</summary>
    public static string Gguf(string official, string folder)
    {
        Directory.CreateDirectory(Path.Combine(folder, "VAE"));
        Write(Path.Combine(folder, "VAE", "vae.safetensors"), Weights(official, VaeFile(official)), key => "model." + key);
        var experts = Directory.Exists(Path.Combine(official, "high_noise_model"));
        var texts = Directory.CreateDirectory(experts ? Path.Combine(folder, "text_encoders") : folder).FullName;
        File.WriteAllBytes(Path.Combine(texts, "text.gguf"), Gguf("t5encoder", Weights(official, GoldenModelFolder.TextEncoderFile), Llama).ToArray());
        File.Copy(Tokenizer(official), Path.Combine(texts, "spiece.model"));
        var transformer = Path.Combine(folder, "wan.gguf");
        foreach (var (own, name) in experts
            ? [("high_noise_model", "HighNoise/Wan-HighNoise-Q4.gguf"), ("low_noise_model", "LowNoise/Wan-LowNoise-Q4.gguf")] : new[] { ("", "wan.gguf") })
        {
            transformer = Path.Combine(folder, name);
            Directory.CreateDirectory(Path.GetDirectoryName(transformer)!);
            CopyConfig(Path.Combine(official, own), Path.GetDirectoryName(transformer)!);
            File.WriteAllBytes(transformer, Gguf("wan", Weights(Path.Combine(official, own), GoldenModelFolder.DitFile), key => key).ToArray());
        }

        return transformer;
    }

    /// <summary>A transformer as a trainer saves it: compiled, in a wrapper's dictionary.</summary>
    public static void Trainer(string official, string path)
    {
        using var scope = NewDisposeScope();
        var pickle = new PickleBuilder().Op("}(").Text("step").Int(7).Text("state_dict").Op("}(");
        var storages = new List<(string, byte[])>();
        foreach (var (key, value) in Weights(official, GoldenModelFolder.DitFile))
        {
            var wrapped = "module._orig_mod." + key.Replace("blocks.0.", "blocks.0._checkpoint_wrapped_module.", StringComparison.Ordinal);
            int[] shape = [.. value.shape.Select(side => (int)side)];
            var strides = new int[shape.Length];
            for (int i = shape.Length - 1, stride = 1; i >= 0; stride *= shape[i--])
            {
                strides[i] = stride;
            }

            pickle.Tensor(wrapped, value.dtype == ScalarType.BFloat16 ? "BFloat16Storage" : "FloatStorage", $"{storages.Count}", (int)value.numel(), 0, shape, strides);
            storages.Add(($"data/{storages.Count}", value.contiguous().bytes.ToArray()));
        }

        CopyConfig(official, Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, pickle.Op("uu").Archive(CompressionLevel.NoCompression, [.. storages]));
    }

    // Only what shapes don't tell needs it.
    private static void CopyConfig(string official, string folder)
    {
        if (Config(official) is { HeadDim: not 128 } or { TextLen: not 512 })
        {
            File.Copy(Path.Combine(official, "config.json"), Path.Combine(folder, "config.json"), overwrite: true);
        }
    }

    private static DitConfig Config(string official) =>
        ModelConfigs.ParseDit(File.ReadAllText(Path.Combine(official, "config.json")), official);

    public static string Tokenizer(string official) => Path.Combine(official, "google", "umt5-xxl", "spiece.model");

    public static IEnumerable<KeyValuePair<string, Tensor>> Weights(string folder, string file)
    {
        using var source = SafetensorsFile.Open(Path.Combine(folder, file));
        return [.. source.Entries.Keys.Select(key => KeyValuePair.Create(key, source.Read(key)))];
    }

    public static string HuggingFace(string key) => key switch
    {
        "token_embedding.weight" => "shared.weight",
        "norm.weight" => "encoder.final_layer_norm.weight",
        _ => Block().Replace(key, "encoder.block.$1.layer.")
            .Replace("layer.norm1", "layer.0.layer_norm").Replace("layer.norm2", "layer.1.layer_norm")
            .Replace("layer.attn.", "layer.0.SelfAttention.").Replace("layer.pos_embedding.embedding", "layer.0.SelfAttention.relative_attention_bias")
            .Replace("layer.ffn.gate.0", "layer.1.DenseReluDense.wi_0").Replace("layer.ffn.fc1", "layer.1.DenseReluDense.wi_1")
            .Replace("layer.ffn.fc2", "layer.1.DenseReluDense.wo"),
    };

    private static string DiffusersTransformer(string key) =>
        TransformerNames.Where(pair => key.Contains(pair.Wan, StringComparison.Ordinal)).Take(1).Aggregate(key, (name, pair) => name.Replace(pair.Wan, pair.Diffusers));

    // A level of the decoder and its up-sampler.
    private static string DiffusersVae(string key, int level)
    {
        key = key switch
        {
            "conv1.weight" or "conv1.bias" => "quant_" + key.Replace("conv1", "conv"),
            "conv2.weight" or "conv2.bias" => "post_quant_" + key.Replace("conv2", "conv"),
            _ => key.Replace("coder.conv1", "coder.conv_in").Replace("head.0", "norm_out").Replace("head.2", "conv_out")
                .Replace("middle.0", "mid_block.resnets.0").Replace("middle.1", "mid_block.attentions.0").Replace("middle.2", "mid_block.resnets.1")
                .Replace("downsamples", "down_blocks"),
        };
        key = Upsample().Replace(key, match => int.Parse(match.Groups[1].Value) is var place && place % level == level - 1
            ? $"up_blocks.{place / level}.upsamplers.0"
            : $"up_blocks.{place / level}.resnets.{place % level}");
        return key.Replace("residual.0", "norm1").Replace("residual.2", "conv1").Replace("residual.3", "norm2").Replace("residual.6", "conv2")
            .Replace("shortcut", "conv_shortcut");
    }

    // Wan2.2's VAE: what resamples is the last of its level, and has a name of its own.
    private static string DiffusersVae22(string key, int blocks)
    {
        key = Down22().Replace(key, match => int.Parse(match.Groups[2].Value) == blocks ? $"down_blocks.{match.Groups[1].Value}.downsampler" : $"down_blocks.{match.Groups[1].Value}.resnets.{match.Groups[2].Value}");
        key = Up22().Replace(key, match => int.Parse(match.Groups[2].Value) == blocks + 1 ? $"up_blocks.{match.Groups[1].Value}.upsampler" : $"up_blocks.{match.Groups[1].Value}.resnets.{match.Groups[2].Value}");
        return DiffusersVae(key, int.MaxValue);
    }

    private static string VaeFile(string official) =>
        File.Exists(Path.Combine(official, GoldenModelFolder.VaeFile)) ? GoldenModelFolder.VaeFile : "Wan2.2_VAE.safetensors";

    // Hugging Face's names of the image encoder; null where there is none.
    private static IEnumerable<KeyValuePair<string, Tensor>>? ImageEncoderOf(string official)
    {
        if (!File.Exists(Path.Combine(official, GoldenModelFolder.ImageEncoderFile)))
        {
            return null;
        }

        var weights = new List<KeyValuePair<string, Tensor>>();
        foreach (var (key, value) in Weights(official, GoldenModelFolder.ImageEncoderFile))
        {
            var name = "vision_model." + key["visual.".Length..].Replace("transformer.", "encoder.layers.").Replace("norm1", "layer_norm1").Replace("norm2", "layer_norm2")
                .Replace("mlp.0", "mlp.fc1").Replace("mlp.2", "mlp.fc2").Replace("attn.proj", "self_attn.out_proj").Replace("pre_norm", "pre_layrnorm").Replace("post_norm", "post_layernorm")
                .Replace("patch_embedding", "embeddings.patch_embedding");
            if (name.Contains("attn.to_qkv", StringComparison.Ordinal))
            {
                var parts = value.chunk(3);
                weights.AddRange(new[] { "q", "k", "v" }.Select((part, i) => KeyValuePair.Create(name.Replace("attn.to_qkv", $"self_attn.{part}_proj"), parts[i].contiguous())));
            }
            else
            {
                weights.Add(key switch
                {
                    "visual.cls_embedding" => KeyValuePair.Create("vision_model.embeddings.class_embedding", value.flatten()),
                    "visual.pos_embedding" => KeyValuePair.Create("vision_model.embeddings.position_embedding.weight", value.squeeze(0)),
                    _ => KeyValuePair.Create(name, value),
                });
            }
        }

        return weights;
    }

    private static string Llama(string key) => key switch
    {
        "token_embedding.weight" => "token_embd.weight",
        "norm.weight" => "enc.output_norm.weight",
        _ => Block().Replace(key, "enc.blk.$1.").Replace(".norm1", ".attn_norm").Replace(".norm2", ".ffn_norm").Replace(".attn.", ".attn_")
            .Replace(".pos_embedding.embedding", ".attn_rel_b").Replace(".ffn.gate.0", ".ffn_gate").Replace(".ffn.fc1", ".ffn_up").Replace(".ffn.fc2", ".ffn_down"),
    };

    private static GgufBytes Gguf(string architecture, IEnumerable<KeyValuePair<string, Tensor>> weights, Func<string, string> rename)
    {
        var bytes = new GgufBytes().Key("general.architecture", architecture);
        foreach (var (key, value) in weights)
        {
            bytes.Tensor(rename(key), value.dtype == ScalarType.BFloat16 ? 30u : 0u, value.shape, value.contiguous().bytes.ToArray());
        }

        return bytes;
    }

    private static void Write(string path, IEnumerable<KeyValuePair<string, Tensor>> weights, Func<string, string> rename) =>
        SafetensorsWriter.Write(path, weights.Select(weight => KeyValuePair.Create(rename(weight.Key), weight.Value)));

    [GeneratedRegex(@"^blocks\.(\d+)\.")]
    private static partial Regex Block();

    [GeneratedRegex(@"upsamples\.(\d+)")]
    private static partial Regex Upsample();

    [GeneratedRegex(@"downsamples\.(\d+)\.downsamples\.(\d+)")]
    private static partial Regex Down22();

    [GeneratedRegex(@"upsamples\.(\d+)\.upsamples\.(\d+)")]
    private static partial Regex Up22();
}
