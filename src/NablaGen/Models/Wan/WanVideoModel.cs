using System.Runtime.InteropServices;
using System.Text.Json;
using NablaGen.Attention;
using NablaGen.Files;
using NablaGen.Models.Streaming;
using NablaGen.Models.Wan.Dit;
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
public sealed class WanVideoModel : VideoModel
{
    /// <summary>The tokenizer's file in a folder of the official layout.</summary>
    public const string TokenizerFile = OfficialLayout.TokenizerFile;

    /// <summary>The transformer's configuration in a folder of the official layout.</summary>
    public const string ConfigFile = OfficialLayout.ConfigFile;

    // So few are built at once: what they lack is then told tensor by tensor.
    private const int CheapLayers = 64;

    private readonly WanFiles _files;
    private readonly bool _isOnDisk;

    private WanVideoModel(string path, WanFiles files)
    {
        Path = path;
        (_files, _isOnDisk) = (files, true);
        using (var config = JsonFile.Read(files.Config))
        {
            var fields = new JsonFields(config.RootElement, files.Config);
            DitConfig = ModelConfigs.Dit(fields);
            SparseAttention = ModelConfigs.SparseAttention(fields);
        }

        var own = IOPath.Combine(path, NablaGenJson.FileName);
        var json = File.Exists(own) ? NablaGenJson.Open(own) : new NablaGenJson();
        Name = json.Name ?? IOPath.GetFileName(IOPath.TrimEndingDirectorySeparator(IOPath.GetFullPath(path)));
        TextEncoderConfig = json.TextEncoder;
        VaeConfig = json.Vae;
        Defaults = WithSparseAttention(json.Defaults);
        CheckFit(File.Exists(own) ? own : "Wan2.1's own sizes (there is no nablagen.json)");
    }

    private WanVideoModel(DitConfig dit, NablaGenJson others, WanFiles files)
    {
        Path = Name = others.Name ?? "no folder";
        _files = files;
        (DitConfig, TextEncoderConfig, VaeConfig, Defaults) = (dit, others.TextEncoder, others.Vae, others.Defaults);
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
    public override TransformerTraits Transformer => DitConfig.Traits;

    /// <inheritdoc/>
    public override LatentTraits Latents => VaeConfig.Traits;

    /// <summary>The self-attention that <c>config.json</c> names (<c>sparse_algo</c>): the default unless <c>nablagen.json</c> has a sparse one; null for none.</summary>
    public string? SparseAttention { get; }

    /// <inheritdoc/>
    public override string Summary => $"{DitConfig.NumLayers} layers, width {DitConfig.Dim}, {DitConfig.NumHeads} heads"
        + (SparseAttention is { } attention ? $", made with attention {attention}" : "");

    /// <inheritdoc/>
    public override IReadOnlyList<(string File, long Parameters)> Parts => [(DitPath, Count(DitShapes)), (TextEncoderPath, Count(TextEncoderShapes))];

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
    public override void Check() => Check(() => DitShapes, () => TextEncoderShapes, () => VaeShapes);

    internal void Check(
        Func<IReadOnlyDictionary<string, long[]>> dit, Func<IReadOnlyDictionary<string, long[]>> textEncoder,
        Func<IReadOnlyDictionary<string, long[]>> vae)
    {
        Check(_files.Transformer, dit, ConfigPath, ("num_layers", DitConfig.NumLayers));
        Check(_files.TextEncoder, textEncoder, SizesPath, ("text_encoder.num_layers", TextEncoderConfig.NumLayers));
        CheckVae(vae);
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

        using var dit = OpenTransformer();
        return ModelHash.Compute([.. dit.Files, TextEncoderPath, VaePath, TokenizerPath], cancellation);
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
    public override IVideoTransformer LoadTransformer(ModuleOptions options, LayerPlacement? placement = null)
    {
        if (placement is null || placement.Resident == DitConfig.NumLayers)
        {
            return Load(_files.Transformer, new WanModel(DitConfig, options));
        }

        // The checkpoint as a whole is checked before a plan is made.
        using var source = OpenTransformer();
        var layers = WanLayers.Stream(DitConfig, options, placement, (number, layer) => CheckpointLoader.Copy(source.Under(WanModel.LayerPrefix(number)), layer));
        WanModel? model = null;
        try
        {
            model = new WanModel(DitConfig, options, layers);
            CheckpointLoader.Copy(source, model);
            return model;
        }
        catch
        {
            // Nothing stays pinned. The model frees the layers where there is one.
            model?.Dispose();
            layers.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override IEnumerable<LayerOperation> Operations(long[] latents, AttentionExpression attention, ModuleOptions options) =>
        WanOperations.Of(DitConfig, latents, attention, options);

    /// <inheritdoc/>
    public override string AttentionOutputKey(int layer) => WanModel.LayerPrefix(layer) + "self_attn.o.weight";

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

    private static T Load<T>(WeightFile file, T module)
        where T : nn.Module
    {
        try
        {
            using var source = file.Open();
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

    // "dense" is what every nablagen.json says that was written without a thought of it.
    private ModelDefaults WithSparseAttention(ModelDefaults defaults) =>
        SparseAttention is { } sparse && defaults.Find("attention") is { ValueKind: JsonValueKind.String } own && own.GetString() == "dense"
            ? defaults.With(("attention", sparse))
            : defaults;

    // The three models must belong together.
    private void CheckFit(string others)
    {
        if (DitConfig.TextDim != TextEncoderConfig.Dim)
        {
            throw new NablaGenException($"{ConfigPath}: \"text_dim\": expected {TextEncoderConfig.Dim}, the width of the text encoder "
                + $"in {others}, found {DitConfig.TextDim}.");
        }

        if (DitConfig.InDim != VaeConfig.ZDim)
        {
            throw new NablaGenException($"{ConfigPath}: \"in_dim\": expected {VaeConfig.ZDim}, the channels of the VAE's latents "
                + $"in {others}, found {DitConfig.InDim}.");
        }
    }
}
