using System.Text.Json;
using NablaGen.Attention;
using NablaGen.Files;
using NablaGen.Models.FewSteps;
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

    // So few are built at once: what they lack is then told tensor by tensor.
    private const int CheapLayers = 64;

    private readonly WanFiles _files;
    private readonly bool _isOnDisk;
    private readonly double? _boundary;
    private readonly NablaGenJson? _json;
    private readonly Lazy<WanVideoModel>? _pictures;
    private readonly WanVideoModel? _text;

    private WanVideoModel(string path, WanFiles files, string own, NablaGenJson? json, WanVideoModel? text = null)
    {
        Path = path;
        (_files, _isOnDisk, _json, _text) = (files, true, json, text);
        _pictures = text is null && files.PictureFolder is not null ? new Lazy<WanVideoModel>(() => OpenPictures(own)) : null;
        DitConfig = files.Dit ?? ReadConfig(files.Config) with { LowRank = LowRankOf(files.Transformer) };
        var name = IOPath.GetFileName(IOPath.TrimEndingDirectorySeparator(IOPath.GetFullPath(path)));
        // A recipe says by the name what was used; file names alone, no folders of the user's.
        Name = (json?.Name ?? name) + string.Concat(files.Others.Select(file => " + " + IOPath.GetFileName(file)));
        var said = json ?? new NablaGenJson();
        SaidName = json?.Name;
        var others = json is null ? "Wan's own sizes (there is no nablagen.json)" : own;
        TextEncoderConfig = files.TextEncoderSizes ?? said.TextEncoder;
        // Shapes don't tell the statistics of a VAE's latents: what a nablagen.json says of it comes first.
        var isVaeSaid = !ReferenceEquals(said.Vae, VaeConfig.Wan21);
        VaeConfig = isVaeSaid ? said.Vae : files.VaeSizes ?? said.Vae;
        ImageEncoderConfig = ReferenceEquals(said.ImageEncoder, ImageEncoderConfig.VitH14) ? files.ImageEncoderSizes ?? said.ImageEncoder : said.ImageEncoder;
        if (DitConfig.GuideChannels > 0)
        {
            using var weights = files.Transformer.Open();
            DitConfig = DitVariant.Detect(DitConfig, weights, ImageEncoderConfig.Tokens);
        }

        if (files.HighNoise is not null)
        {
            _boundary = said.Boundary ?? files.Boundary ?? (DitConfig.GuideChannels > 0 ? WanDefaults.PictureBoundary : WanDefaults.TextBoundary);
        }
        else if (said.Boundary is not null)
        {
            throw new NablaGenException($"{own}: \"boundary\" has no effect: the model has one transformer, not two experts.");
        }

        var defaults = WanDefaults.Of(DitConfig, files.HighNoise is not null, name);
        FewSteps = FewStepTable.Load().FindByKeys(DitConfig.LowRank > 0 ? FewStepTable.LowRankKeys : null, name, IOPath.GetFileName(files.Transformer.Path));
        defaults = FewSteps?.Values.Over(defaults) ?? defaults;
        Defaults = WithSparse(NablaGenJson.DefaultsOf(json, defaults), DitConfig.LowRank > 0 ? FewSteps!.Values.Find("attention")!.Value.GetString() : DitConfig.SparseAlgorithm);
        TrainedFor = json?.TrainedFor ?? TrainedForJson.Of(DitConfig);
        CheckFit(files.TextEncoderSizes is null ? others : TextEncoderPath, isVaeSaid || files.VaeSizes is null ? others : VaePath);
    }

    private WanVideoModel(DitConfig dit, NablaGenJson others, WanFiles files)
    {
        Path = Name = others.Name ?? "no folder";
        (_files, _boundary) = (files, others.Boundary);
        (DitConfig, TextEncoderConfig, VaeConfig, ImageEncoderConfig, Defaults) = (dit, others.TextEncoder, others.Vae, others.ImageEncoder, others.Defaults);
        CheckFit("others", "others");
    }

    private WanVideoModel(WanVideoModel model, WanFiles files, TransformerFormats? formats = null)
    {
        (_files, _isOnDisk, _boundary, _json, _pictures, _text) = (files, model._isOnDisk, model._boundary, model._json, model._pictures, model._text);
        Formats = formats ?? model.Formats;
        (Path, Name, DitConfig, TextEncoderConfig, VaeConfig, ImageEncoderConfig, Defaults, FewSteps, TrainedFor) =
            (model.Path, model.Name, model.DitConfig, model.TextEncoderConfig, model.VaeConfig, model.ImageEncoderConfig, model.Defaults, model.FewSteps, model.TrainedFor);
    }

    /// <inheritdoc/>
    public override string Path { get; }

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override TransformerFormats Formats { get; } = TransformerFormats.Plain;

    /// <summary>The name that the model's nablagen.json says; null where it says none.</summary>
    internal string? SaidName { get; }

    /// <summary>The transformer's configuration file.</summary>
    public string ConfigPath => _files.Config;

    /// <summary>The transformer's weights: one file, or the index of its shards.</summary>
    public string DitPath => _files.Transformer.Path;

    /// <summary>The text encoder's weights.</summary>
    public string TextEncoderPath => _files.TextEncoder.Path;

    /// <summary>The VAE's weights.</summary>
    public string VaePath => _files.Vae.Path;

    /// <summary>The weights of all parts: the transformer's or its experts', the text encoder's, the VAE's and, where there is one, the image encoder's.</summary>
    internal IReadOnlyList<string> WeightPaths =>
        [.. Transformers.Select(file => file.Path), TextEncoderPath, VaePath, .. DitConfig.ImageDim > 0 ? [_files.ImageEncoder!.Path] : Array.Empty<string>()];

    /// <summary>The tokenizer's file, which may be the text encoder's.</summary>
    public string TokenizerPath => _files.Tokenizer.Path;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Choices => _files.Choices;

    /// <summary>The transformer's sizes.</summary>
    public DitConfig DitConfig { get; }

    /// <summary>The text encoder's sizes.</summary>
    public TextEncoderConfig TextEncoderConfig { get; }

    /// <summary>The VAE's sizes.</summary>
    public VaeConfig VaeConfig { get; }

    /// <inheritdoc/>
    public override ModelDefaults Defaults { get; }

    /// <inheritdoc/>
    public override TrainedFor? TrainedFor { get; }

    /// <inheritdoc/>
    public override LatentColorMap? PreviewColors => _json?.Preview;

    /// <inheritdoc/>
    public override bool IsTrainedSparse => base.IsTrainedSparse || DitConfig.SparseAlgorithm is not null;

    /// <inheritdoc/>
    public override FewStepRecipe? FewSteps { get; }

    /// <inheritdoc/>
    public override TransformerTraits Transformer => DitConfig.Traits with { Boundary = _boundary };

    /// <inheritdoc/>
    public override LatentTraits Latents => VaeConfig.Traits;

    /// <inheritdoc/>
    public override string Summary =>
        $"{(_files.HighNoise is null ? "" : "two experts, each of ")}{DitConfig.NumLayers} layers, width {DitConfig.Dim}, {DitConfig.NumHeads} heads"
        + (DitConfig.LowRank > 0 ? $", sparse + low-rank attention of rank {DitConfig.LowRank}" : "")
        + (DitConfig.SparseAlgorithm is { } attention ? $", made with attention {attention}" : "");

    /// <inheritdoc/>
    public override IReadOnlyList<(string File, long Parameters)> Parts =>
        [.. Transformers.Select(file => (file.Path, Count(DitShapes))), (TextEncoderPath, Count(TextEncoderShapes))];

    private IEnumerable<WeightFile> Transformers => _files.HighNoise is { } high ? [_files.Transformer, high] : [_files.Transformer];

    private IReadOnlyDictionary<string, long[]> DitShapes => Shapes(new WanModel(DitConfig, ModuleOptions.Meta));

    private IReadOnlyDictionary<string, long[]> TextEncoderShapes => Shapes(new T5Encoder(TextEncoderConfig, ModuleOptions.Meta));

    private IReadOnlyDictionary<string, long[]> VaeShapes => Shapes(new WanVae(VaeConfig, ModuleOptions.Meta));

    /// <summary>Finds the pieces of a model and reads its configuration; of weights, headers at most are opened.</summary>
    /// <param name="path">A folder in a layout that is known, or a transformer's file.</param>
    /// <param name="pieces">Files that take the place of the model's own; null for none.</param>
    /// <exception cref="NablaGenException">
    /// There is no such folder or file, pieces are missing (one line names each and where it belongs), or the configuration is wrong.
    /// </exception>
    public static new WanVideoModel Open(string path, ModelPieces? pieces = null)
    {
        var own = IOPath.Combine(WanLayouts.JsonFolder(path), NablaGenJson.FileName);
        var json = File.Exists(own) ? NablaGenJson.Open(own) : null;
        var named = (pieces ?? ModelPieces.None).Over(json?.Defaults ?? WanDefaults.Values);
        var model = new WanVideoModel(path, WanLayouts.Find(path, named), own, json);
        return named.ImageEncoder is null || model.DitConfig.ImageDim > 0 ? model : throw new NablaGenException(
            $"{named.ImageEncoder}: --image-encoder has no effect: {path} attends to no pictures.");
    }

    /// <summary>A model whose weights are not on disk, for measurements.</summary>
    /// <param name="dit">The transformer's sizes.</param>
    /// <param name="others">The other models' sizes, the name, and a boundary where there are two experts; the vocabulary grows to the tokenizer's where it is smaller.</param>
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
        return new WanVideoModel(dit, others, new WanFiles
        {
            Config = "the transformer's sizes",
            Transformer = Part("transformer", () => new WanModel(dit, ModuleOptions.Meta)),
            TextEncoder = Part("text encoder", () => new T5Encoder(others.TextEncoder, ModuleOptions.Meta)),
            HighNoise = others.Boundary is null ? null : Part("high-noise transformer", () => new WanModel(dit, ModuleOptions.Meta)),
            ImageEncoder = dit.ImageDim == 0 ? null : Part("image encoder", () => new ImageEncoder(others.ImageEncoder, ModuleOptions.Meta)),
            Vae = Part("VAE", () => new WanVae(others.Vae, ModuleOptions.Meta)),
            Tokenizer = new TokenizerFile(tokenizer ?? ""),
        });
    }

    /// <inheritdoc/>
    public override ITensorSource OpenTransformer() => _files.Transformer.Open();

    /// <summary>What opens the transformer or, of two experts, the low-noise one and then the other.</summary>
    internal IReadOnlyList<Func<ITensorSource>> OpenTransformers() => [.. Transformers.Select(file => file.Open)];

    /// <summary>Opens the text encoder's weights and verifies their header.</summary>
    /// <exception cref="NablaGenException">They are incomplete or malformed.</exception>
    public ITensorSource OpenTextEncoder() => _files.TextEncoder.Open();

    /// <summary>Opens the VAE's weights and verifies their header.</summary>
    /// <exception cref="NablaGenException">They are incomplete or malformed.</exception>
    public ITensorSource OpenVae() => _files.Vae.Open();

    /// <inheritdoc/>
    public override WeightSizes SizesIn(ScalarType dtype, ScalarType vaeDtype) =>
        StoredSizes(WanMemory.Sizes(DitConfig, TextEncoderConfig, VaeConfig, dtype, vaeDtype, Formats), dtype);

    /// <inheritdoc/>
    public override long TransformerWork(long[] latents, AttentionExpression attention, DeviceType device, ScalarType dtype, int batch = 1) =>
        WanMemory.TransformerWork(DitConfig, latents, attention, device, dtype, batch, Formats);

    /// <inheritdoc/>
    public override long PromptMemory(ScalarType dtype) => WanMemory.PromptMemory(DitConfig, dtype);

    /// <inheritdoc/>
    public override long TextEncoderWork(ScalarType dtype) => WanMemory.TextEncoderWork(TextEncoderConfig, DitConfig.TextLen, dtype);

    /// <inheritdoc/>
    public override long VaeWork(long[] latents, ScalarType dtype, VaeTiling tiling, bool framesApart = false) =>
        WanMemory.VaeWork(VaeConfig, latents, dtype, tiling, framesApart);

    /// <inheritdoc/>
    public override bool HasVaeOfOwnConvolutions => ConvolutionOp.Fits(VaeConfig.Dim, VaeConfig.Dim) && ConvolutionOp.Fits(VaeConfig.DecoderWidth, VaeConfig.DecoderWidth);

    /// <inheritdoc/>
    public override IEnumerable<LayerOperation> Operations(long[] latents, AttentionExpression attention, ModuleOptions options) =>
        WanOperations.Of(DitConfig, latents, attention, Formats.Over(options));

    /// <inheritdoc/>
    public override string AttentionOutputKey(int layer) => WanModel.LayerPrefix(layer) + "self_attn.o.weight";

    private static IReadOnlyDictionary<string, long[]> Shapes(nn.Module module)
    {
        using (module)
        {
            return module.Shapes();
        }
    }

    private static long Count(IReadOnlyDictionary<string, long[]> shapes) =>
        shapes.Values.Sum(shape => shape.Aggregate(1L, (product, side) => product * side));

    // "dense" is what every nablagen.json says that was written without a thought of it.
    private static ModelDefaults WithSparse(ModelDefaults defaults, string? sparse) =>
        sparse is not null && defaults.Find("attention") is { ValueKind: JsonValueKind.String } own && own.GetString() == "dense"
            ? defaults.With(("attention", sparse))
            : defaults;

    // A file that cannot be read is refused where it is needed.
    private static int LowRankOf(WeightFile transformer)
    {
        try
        {
            using var weights = transformer.Open();
            return DitVariant.LowRankOf(weights);
        }
        catch (NablaGenException)
        {
            return 0;
        }
    }

    private static DitConfig ReadConfig(string path)
    {
        using var config = JsonFile.Read(path);
        return ModelConfigs.Dit(new JsonFields(config.RootElement, path));
    }
}
