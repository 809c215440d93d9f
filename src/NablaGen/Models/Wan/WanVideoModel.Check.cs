using System.Runtime.InteropServices;
using NablaGen.Files;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Weights;
using IOPath = System.IO.Path;

namespace NablaGen.Models.Wan;

/// <content>What is checked before anything is loaded, and the hashes that name the weights.</content>
public sealed partial class WanVideoModel
{
    /// <inheritdoc/>
    public override void Check() => Check(() => DitShapes, () => TextEncoderShapes, () => VaeShapes);

    internal void Check(
        Func<IReadOnlyDictionary<string, long[]>> dit, Func<IReadOnlyDictionary<string, long[]>> textEncoder,
        Func<IReadOnlyDictionary<string, long[]>> vae)
    {
        foreach (var transformer in Transformers)
        {
            Check(transformer, dit, ConfigPath, ("num_layers", DitConfig.NumLayers));
        }

        Check(_files.TextEncoder, textEncoder, SizesPath, ("text_encoder.num_layers", TextEncoderConfig.NumLayers));
        CheckVae(vae);
        if (OpenImageEncoder() is { } opened)
        {
            using (opened)
            {
                CheckpointLoader.Check(opened, Shapes(new ImageEncoder(ImageEncoderConfig, ModuleOptions.Meta)));
            }
        }

        if (!File.Exists(TokenizerPath))
        {
            throw new NablaGenException($"{TokenizerPath}: no such file: expected the tokenizer's SentencePiece model.");
        }
    }

    /// <inheritdoc/>
    public override void CheckVae() => CheckVae(() => VaeShapes);

    /// <inheritdoc/>
    public override string ComputeHash(CancellationToken cancellation = default)
    {
        if (!_isOnDisk)
        {
            return Name;
        }

        var files = new List<string>();
        foreach (var transformer in Transformers)
        {
            using var dit = transformer.Open();
            files.AddRange(dit.Files);
        }

        using var textEncoder = OpenTextEncoder();
        using var vae = OpenVae();
        string[] image = DitConfig.ImageDim > 0 ? [_files.ImageEncoder!.Path] : [];
        return ModelHash.Compute(files.Concat(textEncoder.Files).Concat(vae.Files).Append(TokenizerPath).Concat(image).Distinct(), cancellation);
    }

    /// <inheritdoc/>
    public override string ComputeVaeHash()
    {
        using var vae = OpenVae();
        return ModelHash.Compute(vae.Files);
    }

    // The file that says the sizes of text encoder and VAE.
    private string SizesPath => IOPath.Combine(Path, NablaGenJson.FileName);

    private void CheckVae(Func<IReadOnlyDictionary<string, long[]>> shapes) => Check(
        _files.Vae, shapes, SizesPath, ("vae.num_res_blocks", VaeConfig.NumResBlocks), ("vae.dim_mult", VaeConfig.DimMult.Count));

    // Counts are compared with the file's header before anything of that many parts is built: a line of JSON may ask for two billion layers.
    private void Check(
        WeightFile file, Func<IReadOnlyDictionary<string, long[]>> shapes, string config, params ReadOnlySpan<(string Key, int Count)> counts)
    {
        using var source = file.Open();
        foreach (var (key, count) in counts)
        {
            if (count > Math.Max(source.Entries.Count, CheapLayers))
            {
                throw new NablaGenException($"{config}: \"{key}\" is {count}, and {source.Path} has {source.Entries.Count} tensors in all: "
                    + "expected the sizes of these weights.");
            }
        }

        CheckpointLoader.Check(source, Built(shapes, config));
        if (_isOnDisk)
        {
            ZeroRun.Check(source.Files);
        }
    }

    // Sizes may be so large that libtorch cannot count a tensor's elements.
    private static IReadOnlyDictionary<string, long[]> Built(Func<IReadOnlyDictionary<string, long[]>> shapes, string config)
    {
        try
        {
            return shapes();
        }
        catch (Exception e) when (e is ExternalException or OverflowException or ArgumentException)
        {
            throw new NablaGenException(Line.Of($"{config}: no model can have these sizes: {e.Message.Split('\n')[0]}"), e);
        }
    }

    // The models must belong together.
    private void CheckFit(string textEncoder, string vae)
    {
        if (_isOnDisk && DitConfig.ImageDim > 0)
        {
            CheckImageEncoder(vae);
        }

        if (DitConfig.LowRank % 2 != 0 || DitConfig.LowRank > DitConfig.HeadDim)
        {
            throw new NablaGenException($"{DitPath}: the tensor {Line.Key(DitVariant.LowRankQuery)} has {DitConfig.LowRank} rows: expected an even number up to {DitConfig.HeadDim}, a head's width.");
        }

        if (DitConfig.TextDim != TextEncoderConfig.Dim)
        {
            throw new NablaGenException($"{ConfigPath}: \"text_dim\": expected {TextEncoderConfig.Dim}, the width of the text encoder "
                + $"in {textEncoder}, found {DitConfig.TextDim}.");
        }

        if (DitConfig.OutDim != VaeConfig.ZDim)
        {
            // Of a model that is told no picture both are the same, and this one is the better known.
            var key = DitConfig.GuideChannels == 0 ? "in_dim" : "out_dim";
            throw new NablaGenException($"{ConfigPath}: \"{key}\": expected {VaeConfig.ZDim}, the channels of the VAE's latents "
                + $"in {vae}, found {DitConfig.OutDim}.");
        }
    }
}
