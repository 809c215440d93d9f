using System.Globalization;
using NablaGen.Files;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Weights;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>The sizes of a model from the names and shapes of its tensors, where no configuration says them.</summary>
internal static class ShapeSizes
{
    private const int HeadDim = 128;
    private const int MostLayers = 1000;
    private const int MostLevels = 8;

    /// <summary>A transformer's. Shapes don't tell how many heads there are: without a number they are 128 wide, as in all of Wan's models, or as wide as a low-rank branch takes them.</summary>
    /// <exception cref="NablaGenException">A tensor that tells a size is missing, or heads of 128 don't make its width.</exception>
    public static DitConfig Dit(ITensorSource source, int? heads = null)
    {
        var patch = Shape(source, "patch_embedding.weight", 5);
        var dim = Side(source, "head.modulation", -1);
        // A low-rank branch works on one head.
        if (heads is null && DitVariant.LowRankOf(source) > 0 && Side(source, DitVariant.LowRankQuery, 1) is var width && dim % width == 0)
        {
            heads = dim / width;
        }

        if (heads is null && dim % HeadDim != 0)
        {
            throw new NablaGenException($"{source.Path}: its width is {dim}, not a multiple of Wan's {HeadDim} a head: a config.json beside the file must say \"num_heads\".");
        }

        var sizes = new DitConfig
        {
            PatchSize = ((int)patch[2], (int)patch[3], (int)patch[4]),
            InDim = (int)patch[1],
            Dim = dim,
            FfnDim = Side(source, "blocks.0.ffn.0.weight", 0),
            FreqDim = Side(source, "time_embedding.0.weight", 1),
            TextDim = Side(source, "text_embedding.0.weight", 1),
            OutDim = (int)(Side(source, "head.head.weight", 0) / Math.Max(1, patch[2] * patch[3] * patch[4])),
            NumHeads = heads ?? dim / HeadDim,
            NumLayers = Layers(source, "blocks."),
            QkNorm = source.Entries.ContainsKey("blocks.0.self_attn.norm_q.weight"),
            CrossAttnNorm = source.Entries.ContainsKey("blocks.0.norm3.weight"),
            LowRank = DitVariant.LowRankOf(source),
        };
        if (sizes.NumHeads < 1 || dim % sizes.NumHeads != 0 || sizes.HeadDim % 2 != 0 || sizes.FreqDim % 2 != 0 || sizes.OutDim < 1)
        {
            throw new NablaGenException($"{source.Path}: width {dim} with {sizes.NumHeads} heads, a time embedding of {sizes.FreqDim} and {sizes.OutDim} channels are not a Wan model's sizes.");
        }

        if (sizes.GuideChannels != 0 && sizes.GuideChannels != ModelConfigs.MaskChannels + sizes.OutDim)
        {
            throw new NablaGenException($"{source.Path}: takes {sizes.InDim} channels and gives {sizes.OutDim}: expected as many, or {ModelConfigs.MaskChannels + (2 * sizes.OutDim)} of a model "
                + "that is told a picture; other kinds (control, camera, inpainting) are not known.");
        }

        return sizes with
        {
            ModelType = sizes.GuideChannels == 0 ? sizes.OutDim == VaeConfig.Wan22.ZDim ? "ti2v" : "t2v" : source.Entries.ContainsKey(DitVariant.Positions) ? "flf2v" : "i2v",
        };
    }

    /// <summary>The width of an image encoder's tokens.</summary>
    /// <param name="source">The file, its tensors as they are stored.</param>
    /// <exception cref="NablaGenException">The tensor that tells it is missing.</exception>
    public static int ImageWidth(ITensorSource source)
    {
        using var tower = ImageEncoderKeys.TowerOf(source);
        return Side(tower, "patch_embedding.weight", 0);
    }

    /// <summary>An image encoder's. Shapes don't tell how many heads there are: they are as wide as ViT-H/14's; null where such heads don't make its width.</summary>
    /// <param name="source">The file, its tensors as they are stored.</param>
    /// <exception cref="NablaGenException">A tensor that tells a size is missing.</exception>
    public static ImageEncoderConfig? TryImageEncoder(ITensorSource source)
    {
        var clip = ImageEncoderConfig.VitH14;
        using var tower = ImageEncoderKeys.TowerOf(source);
        var patch = Shape(tower, "patch_embedding.weight", 4);
        var positions = Shape(tower, "pos_embedding", 3);
        var (dim, headDim) = ((int)patch[0], clip.Dim / clip.NumHeads);
        var side = (int)Math.Sqrt(positions[1] - 1);
        return dim % headDim == 0 && (side * side) + 1 == positions[1] && positions[2] == dim
            ? new ImageEncoderConfig
            {
                Dim = dim,
                NumHeads = dim / headDim,
                PatchSize = (int)patch[2],
                ImageSize = side * (int)patch[2],
                MlpRatio = Math.Max(1, Side(tower, "transformer.0.mlp.0.weight", 0) / dim),
                NumLayers = Layers(tower, "transformer."),
            }
            : null;
    }

    /// <summary>A text encoder's.</summary>
    /// <exception cref="NablaGenException">A tensor that tells a size is missing.</exception>
    public static TextEncoderConfig TextEncoder(ITensorSource source)
    {
        var embedding = Shape(source, "token_embedding.weight", 2);
        var isShared = source.Entries.ContainsKey("pos_embedding.embedding.weight");
        var position = Shape(source, isShared ? "pos_embedding.embedding.weight" : "blocks.0.pos_embedding.embedding.weight", 2);
        var config = new TextEncoderConfig
        {
            Vocab = (int)embedding[0],
            Dim = (int)embedding[1],
            DimAttn = Side(source, "blocks.0.attn.q.weight", 0),
            DimFfn = Side(source, "blocks.0.ffn.fc1.weight", 0),
            NumHeads = (int)position[1],
            NumLayers = Layers(source, "blocks."),
            NumBuckets = (int)position[0],
            SharedPos = isShared,
        };
        return config.DimAttn % config.NumHeads == 0 && config.NumBuckets >= 4 && config.NumBuckets % 2 == 0 ? config : throw new NablaGenException(
            $"{source.Path}: an attention of width {config.DimAttn} with {config.NumHeads} heads and {config.NumBuckets} position buckets are not umT5's sizes.");
    }

    /// <summary>Channels of a VAE's latents.</summary>
    /// <exception cref="NablaGenException">The tensor that tells them is missing.</exception>
    public static int LatentChannels(ITensorSource source) => Side(source, "conv2.weight", 0);

    /// <summary>A VAE's, with the statistics of the latents of Wan's own, which shapes don't tell; null where the latents have other channels.</summary>
    /// <exception cref="NablaGenException">A tensor that tells a size is missing.</exception>
    public static VaeConfig? TryVae(ITensorSource source) => VaeOf(source) is var config && config.LatentsMean.Count == config.ZDim ? config : null;

    /// <summary>A VAE's sizes; the statistics are Wan's own, whether the latents have their channels or not.</summary>
    /// <exception cref="NablaGenException">A tensor that tells a size is missing.</exception>
    public static VaeConfig VaeOf(ITensorSource source)
    {
        var latents = LatentChannels(source);
        var dim = Side(source, "encoder.conv1.weight", 0);
        var (widths, time, blocks) = (new List<int>(), new List<bool>(), 0);
        var width = dim;
        var isNested = source.Entries.ContainsKey("encoder.downsamples.0.downsamples.0.residual.6.weight");
        foreach (var name in Places(source, isNested))
        {
            if (source.Entries.ContainsKey(name + "residual.6.weight"))
            {
                width = Side(source, name + "residual.6.weight", 0);
                blocks += widths.Count == 0 ? 1 : 0;
            }
            else if (source.Entries.ContainsKey(name + "resample.1.weight"))
            {
                widths.Add(width);
                time.Add(source.Entries.ContainsKey(name + "time_conv.weight"));
            }
        }

        widths.Add(width);
        if (widths.Count > MostLevels || widths.Any(side => side % dim != 0) || blocks == 0)
        {
            throw new NablaGenException($"{source.Path}: levels of {Line.Shape(widths.Select(width => (long)width))} channels with {blocks} residual blocks are not a Wan VAE's sizes.");
        }

        var wan = isNested && latents == VaeConfig.Wan22.ZDim ? VaeConfig.Wan22 : VaeConfig.Wan21;
        return new VaeConfig
        {
            Dim = dim,
            DecoderDim = isNested ? Side(source, "decoder.head.2.weight", 1) : null,
            ZDim = latents,
            DimMult = [.. widths.Select(side => side / dim)],
            NumResBlocks = blocks,
            TemporalDownsample = time,
            LatentsMean = wan.LatentsMean,
            LatentsStd = wan.LatentsStd,
        };
    }

    // What the encoder's levels consist of: one list in Wan2.1's VAE, a list a level in Wan2.2's.
    private static IEnumerable<string> Places(ITensorSource source, bool isNested)
    {
        for (var level = 0; level < (isNested ? MostLevels + 1 : 1); level++)
        {
            for (var place = 0; ; place++)
            {
                var name = isNested
                    ? string.Create(CultureInfo.InvariantCulture, $"encoder.downsamples.{level}.downsamples.{place}.")
                    : string.Create(CultureInfo.InvariantCulture, $"encoder.downsamples.{place}.");
                if (!source.Entries.ContainsKey(name + "residual.6.weight") && !source.Entries.ContainsKey(name + "resample.1.weight"))
                {
                    break;
                }

                yield return name;
            }
        }
    }

    private static int Layers(ITensorSource source, string prefix) => 1 + source.Entries.Keys
        .Where(key => key.StartsWith(prefix, StringComparison.Ordinal))
        .Select(key => int.TryParse(key[prefix.Length..].Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number < MostLayers ? number : -1)
        .DefaultIfEmpty(-1).Max() is var layers and > 0 ? layers : throw new NablaGenException($"{source.Path}: has no layers: expected keys that begin with {prefix}0.");

    private static int Side(ITensorSource source, string name, int side)
    {
        var shape = Find(source, name);
        var index = side < 0 ? shape.Length + side : side;
        return index >= 0 && index < shape.Length && shape[index] is > 0 and <= 1 << 20
            ? (int)shape[index]
            : throw new NablaGenException($"{source.Path}: the tensor {Line.Key(name)} has the shape {Line.Shape(shape)}, which is not that of a Wan model.");
    }

    private static long[] Shape(ITensorSource source, string name, int sides)
    {
        var shape = Find(source, name);
        return shape.Length == sides && shape.All(side => side is > 0 and <= 1 << 20)
            ? shape
            : throw new NablaGenException($"{source.Path}: the tensor {Line.Key(name)} has the shape {Line.Shape(shape)}: expected {sides} sides.");
    }

    private static long[] Find(ITensorSource source, string name) => source.Entries.TryGetValue(name, out var entry)
        ? entry.Shape
        : throw new NablaGenException($"{source.Path}: lacks the tensor {Line.Key(name)}, which tells the model's sizes: the file is incomplete.");
}
