using NablaGen.Attention;
using NablaGen.Files;
using NablaGen.Models.Streaming;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;
using IOPath = System.IO.Path;

namespace NablaGen.Models.Wan;

/// <summary>
/// A Wan model on disk, in any layout that is known (<c>Layouts/</c>). A <c>nablagen.json</c> beside it may give other sizes and defaults than
/// Wan2.1's.
/// </summary>
public sealed partial class WanVideoModel : VideoModel
{
    /// <summary>The tokenizer's file in a folder of the official layout.</summary>
    public const string TokenizerFile = OfficialLayout.TokenizerFile;

    /// <summary>The transformer's configuration in a folder of the official layout.</summary>
    public const string ConfigFile = OfficialLayout.ConfigFile;

    private readonly WanFiles _files;
    private readonly bool _isOnDisk;
    private readonly double? _boundary;

    private WanVideoModel(string path, WanFiles files)
    {
        Path = path;
        (_files, _isOnDisk) = (files, true);
        using (var config = JsonFile.Read(files.Config))
        {
            DitConfig = ModelConfigs.Dit(new JsonFields(config.RootElement, files.Config));
        }

        var own = IOPath.Combine(path, NablaGenJson.FileName);
        var folder = IOPath.GetFileName(IOPath.TrimEndingDirectorySeparator(IOPath.GetFullPath(path)));
        var json = new NablaGenJson
        {
            Vae = IOPath.GetFileNameWithoutExtension(files.Vae.Path) == IOPath.GetFileNameWithoutExtension(OfficialLayout.Vae22File) ? VaeConfig.Wan22 : VaeConfig.Wan21,
            Defaults = WanDefaults.Of(DitConfig, files.HighNoise is not null, folder),
        };
        json = File.Exists(own) ? NablaGenJson.Open(own, json) : json;
        Name = json.Name ?? folder;
        (TextEncoderConfig, VaeConfig, ImageEncoderConfig, Defaults) = (json.TextEncoder, json.Vae, json.ImageEncoder, json.Defaults);
        if (DitConfig.GuideChannels > 0)
        {
            using var weights = files.Transformer.Open();
            DitConfig = DitVariant.Detect(DitConfig, weights, ImageEncoderConfig.Tokens);
        }

        if (files.HighNoise is not null)
        {
            _boundary = json.Boundary ?? (DitConfig.GuideChannels > 0 ? WanDefaults.PictureBoundary : WanDefaults.TextBoundary);
        }
        else if (json.Boundary is not null)
        {
            throw new NablaGenException($"{own}: \"boundary\" has no effect: the model has one transformer, not two experts.");
        }

        CheckFit(File.Exists(own) ? own : "Wan's own sizes (there is no nablagen.json)");
    }

    private WanVideoModel(DitConfig dit, NablaGenJson others, WanFiles files)
    {
        Path = Name = others.Name ?? "no folder";
        _files = files;
        (DitConfig, TextEncoderConfig, VaeConfig, ImageEncoderConfig, Defaults) = (dit, others.TextEncoder, others.Vae, others.ImageEncoder, others.Defaults);
        CheckFit("others");
    }

    /// <inheritdoc/>
    public override string Path { get; }

    /// <inheritdoc/>
    public override string Name { get; }

    /// <summary>The transformer's configuration file.</summary>
    public string ConfigPath => _files.Config;

    /// <summary>The transformer's weights: one file, or the index of its shards.</summary>
    public string DitPath => _files.Transformer.Path;

    /// <summary>The text encoder's weights.</summary>
    public string TextEncoderPath => _files.TextEncoder.Path;

    /// <summary>The VAE's weights.</summary>
    public string VaePath => _files.Vae.Path;

    /// <summary>The tokenizer's SentencePiece model.</summary>
    public string TokenizerPath => _files.Tokenizer;

    /// <summary>The transformer's sizes.</summary>
    public DitConfig DitConfig { get; }

    /// <summary>The text encoder's sizes.</summary>
    public TextEncoderConfig TextEncoderConfig { get; }

    /// <summary>The VAE's sizes.</summary>
    public VaeConfig VaeConfig { get; }

    /// <inheritdoc/>
    public override ModelDefaults Defaults { get; }

    /// <inheritdoc/>
    public override TransformerTraits Transformer => DitConfig.Traits with { Boundary = _boundary };

    /// <inheritdoc/>
    public override LatentTraits Latents => VaeConfig.Traits;

    /// <inheritdoc/>
    public override string Summary =>
        $"{(_files.HighNoise is null ? "" : "two experts, each of ")}{DitConfig.NumLayers} layers, width {DitConfig.Dim}, {DitConfig.NumHeads} heads";

    /// <inheritdoc/>
    public override IReadOnlyList<(string File, long Parameters)> Parts =>
        [.. Transformers.Select(file => (file.Path, Count(DitShapes))), (TextEncoderPath, Count(TextEncoderShapes))];

    private IEnumerable<WeightFile> Transformers => _files.HighNoise is { } high ? [_files.Transformer, high] : [_files.Transformer];

    private IReadOnlyDictionary<string, long[]> DitShapes => Shapes(new WanModel(DitConfig, ModuleOptions.Meta));

    private IReadOnlyDictionary<string, long[]> TextEncoderShapes => Shapes(new T5Encoder(TextEncoderConfig, ModuleOptions.Meta));

    private IReadOnlyDictionary<string, long[]> VaeShapes => Shapes(new WanVae(VaeConfig, ModuleOptions.Meta));

    /// <summary>Finds the pieces of a model and reads its configuration; no weights are opened.</summary>
    /// <exception cref="NablaGenException">
    /// There is no such folder, pieces are missing (one line names each and where it belongs), the folder has another
    /// layout, or the configuration is wrong.
    /// </exception>
    public static new WanVideoModel Open(string path) => new(path, WanLayouts.Find(path));

    /// <summary>A model whose weights are not on disk, for measurements.</summary>
    /// <param name="dit">The transformer's sizes.</param>
    /// <param name="others">The other models' sizes and the name; the vocabulary grows to the tokenizer's where it is smaller.</param>
    /// <param name="tokenizer">The tokenizer's file, which is on disk; null where no prompt will be read.</param>
    /// <param name="open">The weights of each part, by its name and its parameters' names and shapes.</param>
    public static WanVideoModel InMemory(
        DitConfig dit, NablaGenJson others, string? tokenizer, Func<string, IReadOnlyDictionary<string, long[]>, ITensorSource> open)
    {
        if (tokenizer is not null)
        {
            var vocabulary = Math.Max(others.TextEncoder.Vocab, UmT5Tokenizer.Load(tokenizer).VocabularySize);
            others = others with { TextEncoder = others.TextEncoder with { Vocab = vocabulary } };
        }

        WeightFile Part(string name, Func<nn.Module> make) => new(name, () => open(name, Shapes(make())));
        return new WanVideoModel(dit, others, new WanFiles(
            "the transformer's sizes", Part("transformer", () => new WanModel(dit, ModuleOptions.Meta)),
            Part("text encoder", () => new T5Encoder(others.TextEncoder, ModuleOptions.Meta)), Part("VAE", () => new WanVae(others.Vae, ModuleOptions.Meta)),
            tokenizer ?? ""));
    }

    /// <inheritdoc/>
    public override ITensorSource OpenTransformer() => _files.Transformer.Open();

    /// <summary>Opens the text encoder's weights and verifies their header.</summary>
    /// <exception cref="NablaGenException">They are incomplete or malformed.</exception>
    public ITensorSource OpenTextEncoder() => _files.TextEncoder.Open();

    /// <summary>Opens the VAE's weights and verifies their header.</summary>
    /// <exception cref="NablaGenException">They are incomplete or malformed.</exception>
    public ITensorSource OpenVae() => _files.Vae.Open();

    /// <inheritdoc/>
    public override void Check() => Check(DitShapes, TextEncoderShapes, VaeShapes);

    internal void Check(
        IReadOnlyDictionary<string, long[]> dit, IReadOnlyDictionary<string, long[]> textEncoder, IReadOnlyDictionary<string, long[]> vae)
    {
        foreach (var transformer in Transformers)
        {
            Check(transformer, dit);
        }

        Check(_files.TextEncoder, textEncoder);
        Check(_files.Vae, vae);
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
    public override void CheckVae() => Check(_files.Vae, VaeShapes);

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

        string[] image = DitConfig.ImageDim > 0 ? [_files.ImageEncoder!.Path] : [];
        return ModelHash.Compute([.. files, TextEncoderPath, VaePath, TokenizerPath, .. image], cancellation);
    }

    /// <inheritdoc/>
    public override string ComputeVaeHash() => ModelHash.Compute([VaePath]);

    /// <inheritdoc/>
    public override WeightSizes SizesIn(ScalarType dtype, ScalarType vaeDtype) =>
        WanMemory.Sizes(DitConfig, TextEncoderConfig, VaeConfig, dtype, vaeDtype);

    /// <inheritdoc/>
    public override long TransformerWork(long[] latents, AttentionExpression attention, DeviceType device, ScalarType dtype, int batch = 1) =>
        WanMemory.TransformerWork(DitConfig, latents, attention, device, dtype, batch);

    /// <inheritdoc/>
    public override long PromptMemory(ScalarType dtype) => WanMemory.PromptMemory(DitConfig, dtype);

    /// <inheritdoc/>
    public override long TextEncoderWork(ScalarType dtype) => WanMemory.TextEncoderWork(TextEncoderConfig, DitConfig.TextLen, dtype);

    /// <inheritdoc/>
    public override long VaeWork(long[] latents, ScalarType dtype, VaeTiling tiling) => WanMemory.VaeWork(VaeConfig, latents, dtype, tiling);

    /// <inheritdoc/>
    public override IPromptTokenizer LoadTokenizer() => new WanTokenizer(this);

    /// <inheritdoc/>
    public override ITextEncoder LoadTextEncoder(ModuleOptions options) => Load(_files.TextEncoder, new T5Encoder(TextEncoderConfig, options));

    /// <inheritdoc/>
    public override IVideoAutoencoder LoadVae(ModuleOptions options) => Load(_files.Vae, new WanVae(VaeConfig, options));

    /// <inheritdoc/>
    public override IVideoTransformer LoadTransformer(ModuleOptions options, LayerPlacement? placement = null) => _files.HighNoise is { } high
        ? new WanExperts(Transformer, options, isHigh => LoadTransformer(isHigh ? high : _files.Transformer, options, placement), FilesOfTransformer)
        : LoadTransformer(_files.Transformer, options, placement);

    private WanModel LoadTransformer(WeightFile file, ModuleOptions options, LayerPlacement? placement)
    {
        if (placement is null || placement.Resident == DitConfig.NumLayers)
        {
            return Load(file, new WanModel(DitConfig, options));
        }

        // The checkpoint as a whole is checked before a plan is made.
        using var source = file.Open();
        var layers = WanLayers.Stream(DitConfig, options, placement, (number, layer) => CheckpointLoader.Copy(source.Under(WanModel.LayerPrefix(number)), layer));
        var model = new WanModel(DitConfig, options, layers);
        try
        {
            CheckpointLoader.Copy(source, model);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private IReadOnlyList<string> FilesOfTransformer()
    {
        using var source = OpenTransformer();
        return source.Files;
    }

    /// <inheritdoc/>
    public override string AttentionOutputKey(int layer) => WanModel.LayerPrefix(layer) + "self_attn.o.weight";

    private static void Check(WeightFile file, IReadOnlyDictionary<string, long[]> shapes)
    {
        using var source = file.Open();
        CheckpointLoader.Check(source, shapes);
    }

    private static T Load<T>(WeightFile file, T module)
        where T : nn.Module
    {
        try
        {
            using var source = file.Open();
            return Load(source, module);
        }
        catch
        {
            module.Dispose();
            throw;
        }
    }

    private static T Load<T>(ITensorSource source, T module)
        where T : nn.Module
    {
        try
        {
            CheckpointLoader.Load(source, module);
            return module;
        }
        catch
        {
            module.Dispose();
            throw;
        }
    }

    private static IReadOnlyDictionary<string, long[]> Shapes(nn.Module module)
    {
        using (module)
        {
            return module.Shapes();
        }
    }

    private static long Count(IReadOnlyDictionary<string, long[]> shapes) =>
        shapes.Values.Sum(shape => shape.Aggregate(1L, (product, side) => product * side));

    // The models must belong together.
    private void CheckFit(string others)
    {
        if (_isOnDisk && DitConfig.ImageDim > 0)
        {
            CheckImageEncoder(others);
        }

        if (DitConfig.TextDim != TextEncoderConfig.Dim)
        {
            throw new NablaGenException($"{ConfigPath}: \"text_dim\": expected {TextEncoderConfig.Dim}, the width of the text encoder "
                + $"in {others}, found {DitConfig.TextDim}.");
        }

        if (DitConfig.OutDim != VaeConfig.ZDim)
        {
            // Of a model that is told no picture both are the same, and this one is the better known.
            var key = DitConfig.GuideChannels == 0 ? "in_dim" : "out_dim";
            throw new NablaGenException($"{ConfigPath}: \"{key}\": expected {VaeConfig.ZDim}, the channels of the VAE's latents "
                + $"in {others}, found {DitConfig.OutDim}.");
        }
    }
}
