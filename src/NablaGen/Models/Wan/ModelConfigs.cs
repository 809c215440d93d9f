using System.Text;
using NablaGen.Attention;
using NablaGen.Files;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;

namespace NablaGen.Models.Wan;

/// <summary>
/// Reads the models' configurations from JSON. Each key is that of the reference's constructor, and each value is checked;
/// keys that NablaGen does not use are ignored (<c>_class_name</c> and other notes of the library that wrote the file).
/// </summary>
public static class ModelConfigs
{
    /// <summary>Channels of the mask that says which frames are given: one for each frame of a latent frame.</summary>
    internal const int MaskChannels = 4;

    // Each doubles the pixels of a side.
    private const int MostLevels = 8;

    // Each becomes a module, whose weights are looked for afterwards.
    private const int MostLayers = 1000;

    private static readonly string[] ModelTypes = ["t2v", "i2v", "flf2v", "ti2v"];

    /// <summary>A transformer's, as in <c>config.json</c> (WanModel, wan/modules/model.py).</summary>
    /// <param name="json">The JSON text.</param>
    /// <param name="path">The file it is from, for messages.</param>
    /// <exception cref="NablaGenException">A key is missing or its value is wrong, or the model is of a kind that NablaGen does not know.</exception>
    public static DitConfig ParseDit(string json, string path)
    {
        using var document = JsonFile.Parse(Encoding.UTF8.GetBytes(json), path);
        return Dit(new JsonFields(document.RootElement, path));
    }

    /// <summary>A text encoder's (T5Encoder, wan/modules/t5.py). Missing keys are as in umT5-XXL.</summary>
    /// <param name="json">The JSON text.</param>
    /// <param name="path">The file it is from, for messages.</param>
    /// <exception cref="NablaGenException">A value is wrong.</exception>
    public static TextEncoderConfig ParseTextEncoder(string json, string path)
    {
        using var document = JsonFile.Parse(Encoding.UTF8.GetBytes(json), path);
        return TextEncoder(new JsonFields(document.RootElement, path));
    }

    /// <summary>A VAE's (WanVAE_, wan/modules/vae.py). Missing keys are as in Wan2.1's, or, with <c>dec_dim</c>, as in Wan2.2's.</summary>
    /// <param name="json">The JSON text.</param>
    /// <param name="path">The file it is from, for messages.</param>
    /// <exception cref="NablaGenException">A value is wrong.</exception>
    public static VaeConfig ParseVae(string json, string path)
    {
        using var document = JsonFile.Parse(Encoding.UTF8.GetBytes(json), path);
        return Vae(new JsonFields(document.RootElement, path));
    }

    /// <summary>An image encoder's (VisionTransformer, wan/modules/clip.py). Missing keys are as in ViT-H/14.</summary>
    /// <param name="json">The JSON text.</param>
    /// <param name="path">The file it is from, for messages.</param>
    /// <exception cref="NablaGenException">A value is wrong.</exception>
    public static ImageEncoderConfig ParseImageEncoder(string json, string path)
    {
        using var document = JsonFile.Parse(Encoding.UTF8.GetBytes(json), path);
        return ImageEncoder(new JsonFields(document.RootElement, path));
    }

    internal static ImageEncoderConfig ImageEncoder(JsonFields fields)
    {
        var clip = ImageEncoderConfig.VitH14;
        var config = new ImageEncoderConfig
        {
            ImageSize = fields.Int("image_size", clip.ImageSize),
            PatchSize = fields.Int("patch_size", clip.PatchSize),
            Dim = fields.Int("dim", clip.Dim),
            MlpRatio = fields.Int("mlp_ratio", clip.MlpRatio),
            NumHeads = fields.Int("num_heads", clip.NumHeads),
            NumLayers = fields.Int("num_layers", clip.NumLayers),
        };
        if (config.ImageSize % config.PatchSize != 0)
        {
            throw fields.Error("image_size", $"a multiple of \"patch_size\" ({config.PatchSize})", $"{config.ImageSize}");
        }

        return config.Dim % config.NumHeads == 0 ? config : throw fields.Error("dim", $"a multiple of \"num_heads\" ({config.NumHeads})", $"{config.Dim}");
    }

    internal static DitConfig Dit(JsonFields fields)
    {
        var modelType = fields.String("model_type") ?? "t2v";
        if (!ModelTypes.Contains(modelType))
        {
            throw fields.Error("model_type", $"one of {string.Join(", ", ModelTypes)}", Line.Key(modelType));
        }

        // Diffusers leaves patch_size, window_size, qk_norm, cross_attn_norm and text_dim out of the official files.
        var patch = fields.Ints("patch_size") ?? [1, 2, 2];
        if (patch.Length != 3)
        {
            throw fields.Error("patch_size", "3 numbers (time, height, width)", $"{patch.Length}");
        }

        if (fields.Ints("window_size", min: -1) is { } window && !window.All(size => size == -1))
        {
            throw fields.Error("window_size", "[-1, -1] (no window)", $"[{string.Join(", ", window.Select(size => $"{size}"))}]");
        }

        var config = new DitConfig
        {
            ModelType = modelType,
            PatchSize = (patch[0], patch[1], patch[2]),
            TextLen = fields.Int("text_len", 512),
            InDim = fields.Int("in_dim", 16),
            Dim = fields.Int("dim"),
            FfnDim = fields.Int("ffn_dim"),
            FreqDim = fields.Int("freq_dim", 256),
            TextDim = fields.Int("text_dim", 4096),
            OutDim = fields.Int("out_dim", 16),
            NumHeads = fields.Int("num_heads"),
            NumLayers = fields.Int("num_layers", max: MostLayers),
            QkNorm = fields.Bool("qk_norm", true),
            CrossAttnNorm = fields.Bool("cross_attn_norm", true),
            Eps = fields.Double("eps", 1e-6),
            SparseAlgorithm = Sparse(fields),
        };
        if (config.Dim % config.NumHeads != 0)
        {
            throw fields.Error("dim", $"a multiple of \"num_heads\" ({config.NumHeads})", $"{config.Dim}");
        }

        if (config.HeadDim % 2 != 0)
        {
            throw fields.Error("dim", "heads of even width, for the rotary embedding", $"width {config.HeadDim} (dim / num_heads)");
        }

        if (config.FreqDim % 2 != 0)
        {
            throw fields.Error("freq_dim", "an even number", $"{config.FreqDim}");
        }

        // A picture's latents have the channels of the noise, and its mask a channel for each frame of a latent frame.
        var guide = modelType is "i2v" or "flf2v" ? MaskChannels + config.OutDim : 0;
        if (config.InDim != config.OutDim + guide)
        {
            throw guide == 0
                ? fields.Error("out_dim", $"the same as \"in_dim\" ({config.InDim})", $"{config.OutDim}")
                : fields.Error("in_dim", $"{config.OutDim + guide}: twice \"out_dim\" and {MaskChannels} for the mask", $"{config.InDim}");
        }

        return config.Eps > 0 ? config : throw fields.Error("eps", "a number above 0", $"{config.Eps}");
    }

    // Checked now, so that the file that says it is named.
    private static string? Sparse(JsonFields fields)
    {
        const string Key = "sparse_algo";
        if (fields.IsNull(Key) || fields.String(Key) is not { Length: > 0 } text)
        {
            return null;
        }

        try
        {
            return AttentionExpression.Parse(text).ToString();
        }
        catch (InvalidRequestException)
        {
            throw fields.Error(Key, "dense, nabla-<threshold>, sta-<t>-<h>-<w> or nabla-<threshold>_sta-<t>-<h>-<w>", Line.Key(text));
        }
    }

    internal static TextEncoderConfig TextEncoder(JsonFields fields)
    {
        var xxl = TextEncoderConfig.UmT5Xxl;
        var config = new TextEncoderConfig
        {
            Vocab = fields.Int("vocab", xxl.Vocab),
            Dim = fields.Int("dim", xxl.Dim),
            DimAttn = fields.Int("dim_attn", xxl.DimAttn),
            DimFfn = fields.Int("dim_ffn", xxl.DimFfn),
            NumHeads = fields.Int("num_heads", xxl.NumHeads),
            NumLayers = fields.Int("num_layers", xxl.NumLayers, max: MostLayers),
            NumBuckets = fields.Int("num_buckets", xxl.NumBuckets, min: 4),
            SharedPos = fields.Bool("shared_pos", xxl.SharedPos),
        };
        if (config.DimAttn % config.NumHeads != 0)
        {
            throw fields.Error("dim_attn", $"a multiple of \"num_heads\" ({config.NumHeads})", $"{config.DimAttn}");
        }

        // Half the buckets are for each direction.
        return config.NumBuckets % 2 == 0 ? config : throw fields.Error("num_buckets", "an even number", $"{config.NumBuckets}");
    }

    // Another program may call the first level's channels otherwise.
    internal static VaeConfig Vae(JsonFields fields, string widthKey = "dim", string decoderKey = "dec_dim")
    {
        // Only Wan2.2's has a decoder of another width.
        var decoderDim = fields.IsNull(decoderKey) ? 0 : fields.Int(decoderKey, 0, min: 0);
        var wan = decoderDim > 0 ? VaeConfig.Wan22 : VaeConfig.Wan21;
        var config = new VaeConfig
        {
            Dim = fields.Int(widthKey, wan.Dim),
            DecoderDim = decoderDim > 0 ? decoderDim : null,
            ZDim = fields.Int("z_dim", wan.ZDim),
            DimMult = fields.Ints("dim_mult") ?? wan.DimMult,
            NumResBlocks = fields.Int("num_res_blocks", wan.NumResBlocks, max: MostLayers),
            TemporalDownsample = fields.Bools("temperal_downsample") ?? wan.TemporalDownsample,
            LatentsMean = fields.Floats("latents_mean") ?? wan.LatentsMean,
            LatentsStd = fields.Floats("latents_std") ?? wan.LatentsStd,
        };
        if (config.DimMult.Count is 0 or > MostLevels)
        {
            throw fields.Error("dim_mult", $"1 to {MostLevels} levels", config.DimMult.Count == 0 ? "none" : $"{config.DimMult.Count}");
        }

        if (config.TemporalDownsample.Count != config.DimMult.Count - 1)
        {
            var expected = $"{config.DimMult.Count - 1} values, one fewer than \"dim_mult\"";
            throw fields.Error("temperal_downsample", expected, $"{config.TemporalDownsample.Count}");
        }

        if (config.LatentsMean.Count != config.ZDim)
        {
            throw fields.Error("latents_mean", $"{config.ZDim} numbers, as \"z_dim\" says", $"{config.LatentsMean.Count}");
        }

        if (config.LatentsStd.Count != config.ZDim)
        {
            throw fields.Error("latents_std", $"{config.ZDim} numbers, as \"z_dim\" says", $"{config.LatentsStd.Count}");
        }

        return config.LatentsStd.All(value => value > 0)
            ? config
            : throw fields.Error("latents_std", "numbers above 0", $"{config.LatentsStd.Min()}");
    }
}
