using System.Text.Json.Nodes;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Converting;

/// <summary>The layout of the Diffusers library.</summary>
internal sealed class DiffusersFolder : IFolderWriter
{
    private const string Transformer = "transformer";
    private const string LowNoise = "transformer_2";

    /// <inheritdoc/>
    public string Name => "diffusers";

    /// <inheritdoc/>
    public IReadOnlyList<string> Formats => ["bf16", "fp16", "fp32"];

    /// <inheritdoc/>
    public IEnumerable<FolderPart> Parts(WanVideoModel model, string format, CancellationToken cancellation)
    {
        if (model.DitConfig.LowRank > 0)
        {
            throw new NablaGenException($"{model.DitPath}: the Diffusers layout has no names for a low-rank branch (self_attn.proj_q and others): convert to the official layout or to a single file.");
        }

        // Here the high-noise expert is the first, and in the model the other.
        var transformers = model.OpenTransformers();
        foreach (var (folder, open) in (transformers.Count == 1 ? [Transformer] : new[] { LowNoise, Transformer }).Zip(transformers))
        {
            yield return new FolderPart(folder + "/diffusion_pytorch_model.safetensors", open, source => PieceTensors.Of(source, format, Named(DiffusersTransformerKeys.Of), cancellation), HasShards: true);
        }

        yield return new FolderPart("text_encoder/model.safetensors", model.OpenTextEncoder, source => PieceTensors.Of(source, format, Named(HuggingFaceTextKeys.Of), cancellation), HasShards: true);
        yield return new FolderPart("vae/diffusion_pytorch_model.safetensors", model.OpenVae, source => PieceTensors.AsStored(source, DiffusersVaeKeys.Outwards(model.VaeConfig), cancellation), HasShards: false);
        if (model.DitConfig.ImageDim > 0)
        {
            yield return new FolderPart("image_encoder/model.safetensors", model.OpenImageTower, Tower, HasShards: false);
        }
    }

    /// <inheritdoc/>
    public void WriteOthers(WanVideoModel model, string folder)
    {
        var (dit, text, vae) = (model.DitConfig, model.TextEncoderConfig, model.VaeConfig);
        var hasExperts = model.Transformer.Boundary is not null;
        var index = new JsonObject
        {
            ["_class_name"] = dit.ModelType is "i2v" or "flf2v" ? "WanImageToVideoPipeline" : "WanPipeline",
            ["boundary_ratio"] = model.Transformer.Boundary,
            ["expand_timesteps"] = dit.ModelType == "ti2v",
            ["scheduler"] = new JsonArray("diffusers", "UniPCMultistepScheduler"),
            ["text_encoder"] = new JsonArray("transformers", "UMT5EncoderModel"),
            ["tokenizer"] = new JsonArray("transformers", "T5TokenizerFast"),
            [Transformer] = new JsonArray("diffusers", "WanTransformer3DModel"),
            ["vae"] = new JsonArray("diffusers", "AutoencoderKLWan"),
        };
        var transformer = new JsonObject
        {
            ["_class_name"] = "WanTransformer3DModel",
            ["patch_size"] = new JsonArray(dit.PatchSize.Time, dit.PatchSize.Height, dit.PatchSize.Width),
            ["num_attention_heads"] = dit.NumHeads,
            ["attention_head_dim"] = dit.HeadDim,
            ["in_channels"] = dit.InDim,
            ["out_channels"] = dit.OutDim,
            ["text_dim"] = dit.TextDim,
            ["freq_dim"] = dit.FreqDim,
            ["ffn_dim"] = dit.FfnDim,
            ["num_layers"] = dit.NumLayers,
            ["cross_attn_norm"] = dit.CrossAttnNorm,
            ["qk_norm"] = dit.QkNorm ? "rms_norm_across_heads" : null,
            ["eps"] = dit.Eps,
            ["image_dim"] = dit.ImageDim > 0 ? dit.ImageDim : null,
            ["added_kv_proj_dim"] = dit.ImageDim > 0 ? dit.Dim : null,
            ["pos_embed_seq_len"] = dit.HasImagePositions ? dit.ImageTokens : null,
            ["rope_max_seq_len"] = 1024,
        };
        if (dit.TextLen != 512)
        {
            transformer["text_len"] = dit.TextLen;
        }

        if (hasExperts)
        {
            index[LowNoise] = new JsonArray("diffusers", "WanTransformer3DModel");
            FolderFiles.Json(Path.Combine(folder, LowNoise, "config.json"), transformer.DeepClone());
        }

        if (dit.ImageDim > 0)
        {
            var image = model.ImageEncoderConfig;
            index["image_encoder"] = new JsonArray("transformers", "CLIPVisionModel");
            FolderFiles.Json(Path.Combine(folder, "image_encoder", "config.json"), new JsonObject
            {
                ["architectures"] = new JsonArray("CLIPVisionModel"),
                ["model_type"] = "clip_vision_model",
                ["hidden_act"] = "gelu",
                ["hidden_size"] = image.Dim,
                ["image_size"] = image.ImageSize,
                ["intermediate_size"] = image.Dim * image.MlpRatio,
                ["num_attention_heads"] = image.NumHeads,
                ["num_hidden_layers"] = image.NumLayers,
                ["patch_size"] = image.PatchSize,
                ["layer_norm_eps"] = image.Eps,
            });
        }

        FolderFiles.Json(Path.Combine(folder, "model_index.json"), index);
        FolderFiles.Json(Path.Combine(folder, Transformer, "config.json"), transformer);
        FolderFiles.Json(Path.Combine(folder, "text_encoder", "config.json"), new JsonObject
        {
            ["architectures"] = new JsonArray("UMT5EncoderModel"),
            ["model_type"] = "umt5",
            ["d_model"] = text.Dim,
            ["d_ff"] = text.DimFfn,
            ["d_kv"] = text.DimAttn / text.NumHeads,
            ["num_heads"] = text.NumHeads,
            ["num_layers"] = text.NumLayers,
            ["vocab_size"] = text.Vocab,
            ["relative_attention_num_buckets"] = text.NumBuckets,
            ["feed_forward_proj"] = "gated-gelu",
        });
        var sizes = new JsonObject
        {
            ["_class_name"] = "AutoencoderKLWan",
            ["base_dim"] = vae.Dim,
            ["z_dim"] = vae.ZDim,
            ["dim_mult"] = FolderFiles.List(vae.DimMult),
            ["num_res_blocks"] = vae.NumResBlocks,
            ["temperal_downsample"] = FolderFiles.List(vae.TemporalDownsample),
            ["latents_mean"] = FolderFiles.List(vae.LatentsMean),
            ["latents_std"] = FolderFiles.List(vae.LatentsStd),
        };
        if (vae.DecoderDim is { } decoder)
        {
            sizes["decoder_base_dim"] = decoder;
            sizes["is_residual"] = true;
            sizes["patch_size"] = vae.PatchSize;
            sizes["in_channels"] = vae.Colours;
            sizes["out_channels"] = vae.Colours;
        }

        FolderFiles.Json(Path.Combine(folder, "vae", "config.json"), sizes);
        FolderFiles.Json(Path.Combine(folder, "scheduler", "scheduler_config.json"), new JsonObject
        {
            ["_class_name"] = "UniPCMultistepScheduler",
            ["flow_shift"] = model.Defaults.Find("shift")?.GetDouble(),
            ["num_train_timesteps"] = 1000,
            ["prediction_type"] = "flow_prediction",
            ["use_flow_sigmas"] = true,
        });
        FolderFiles.Tokenizer(model, Path.Combine(folder, "tokenizer", "spiece.model"), Path.Combine(folder, "tokenizer", "tokenizer.json"));
    }

    private static Func<string, string> Named(Func<string, string?> of) => key => of(key) ?? key;

    // Queries, keys and values are three matrices here and one in the authors' file.
    private static IEnumerable<ConvertedTensor> Tower(ITensorSource tower) => ClipVisionSource.NamesOf(tower).Select(row =>
    {
        var type = tower.Entries[row.Key].Type.ToScalarType();
        return new ConvertedTensor(row.Name, type.ToStoredType(), row.Shape, () =>
        {
            using var scope = NewDisposeScope();
            return tower.Read(row.Key).chunk(row.Parts)[row.Part].reshape(row.Shape).contiguous().MoveToOuterDisposeScope();
        });
    });
}
