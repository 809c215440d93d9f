using NablaGen.Attention;
using NablaGen.Files;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Weights;
using IOPath = System.IO.Path;

namespace NablaGen.Models.Wan;

/// <summary>
/// A model on disk in the layout of the official downloads (Wan-AI/Wan2.1-T2V-*):
/// <code>
/// config.json                                        the transformer's sizes
/// diffusion_pytorch_model.safetensors                its weights, or diffusion_pytorch_model.safetensors.index.json and its shards
/// models_t5_umt5-xxl-enc-bf16.safetensors or .pth    the text encoder
/// Wan2.1_VAE.safetensors or .pth                     the VAE
/// google/umt5-xxl/spiece.model                       the tokenizer
/// nablagen.json                                      optional: other sizes, own defaults
/// </code>
/// The <c>.safetensors</c> forms of the text encoder and the VAE hold the same keys as the <c>.pth</c> files, and are taken
/// first where both are there.
/// </summary>
public sealed class ModelFolder
{
    /// <summary>Where the tokenizer lies in a model folder.</summary>
    public const string TokenizerFile = "google/umt5-xxl/spiece.model";

    internal const string DitFile = "diffusion_pytorch_model.safetensors";
    internal const string ConfigFile = "config.json";
    internal const string TextEncoderFile = "models_t5_umt5-xxl-enc-bf16";
    internal const string VaeFile = "Wan2.1_VAE";
    private const string DitIndex = DitFile + ".index.json";

    private readonly Func<string, ITensorSource> _open = OpenFile;

    private ModelFolder(string path, string[] pieces)
    {
        Path = path;
        (ConfigPath, DitPath, TextEncoderPath, VaePath, TokenizerPath) = (pieces[0], pieces[1], pieces[2], pieces[3], pieces[4]);
        using (var config = JsonFile.Read(ConfigPath))
        {
            DitConfig = ModelConfigs.Dit(new JsonFields(config.RootElement, ConfigPath));
        }

        var own = IOPath.Combine(path, NablaGenJson.FileName);
        var json = File.Exists(own) ? NablaGenJson.Open(own) : new NablaGenJson();
        Name = json.Name ?? IOPath.GetFileName(IOPath.TrimEndingDirectorySeparator(IOPath.GetFullPath(path)));
        TextEncoderConfig = json.TextEncoder;
        VaeConfig = json.Vae;
        // A file of thresholds that the folder brings along is named from there.
        Defaults = json.Defaults with { Attention = AttentionExpression.InFolder(json.Defaults.Attention, path) };
        CheckFit(File.Exists(own) ? own : "Wan2.1's own sizes (there is no nablagen.json)");
    }

    private ModelFolder(DitConfig dit, NablaGenJson others, string tokenizer, Func<string, ITensorSource> open)
    {
        _open = open;
        Path = Name = others.Name ?? "no folder";
        (ConfigPath, DitPath, TextEncoderPath, VaePath, TokenizerPath) = (ConfigFile, DitFile, TextEncoderFile, VaeFile, tokenizer);
        (DitConfig, TextEncoderConfig, VaeConfig, Defaults) = (dit, others.TextEncoder, others.Vae, others.Defaults);
        CheckFit("others");
    }

    /// <summary>The folder, as given.</summary>
    public string Path { get; }

    /// <summary>The model's name: that in <c>nablagen.json</c>, or the folder's.</summary>
    public string Name { get; }

    /// <summary>The transformer's configuration file.</summary>
    public string ConfigPath { get; }

    /// <summary>The transformer's weights: one file, or the index of its shards.</summary>
    public string DitPath { get; }

    /// <summary>The text encoder's weights.</summary>
    public string TextEncoderPath { get; }

    /// <summary>The VAE's weights.</summary>
    public string VaePath { get; }

    /// <summary>The tokenizer's SentencePiece model.</summary>
    public string TokenizerPath { get; }

    /// <summary>The transformer's sizes.</summary>
    public DitConfig DitConfig { get; }

    /// <summary>The text encoder's sizes.</summary>
    public TextEncoderConfig TextEncoderConfig { get; }

    /// <summary>The VAE's sizes.</summary>
    public VaeConfig VaeConfig { get; }

    /// <summary>What a generation uses where the user says nothing.</summary>
    public GenerationDefaults Defaults { get; }

    /// <summary>Finds the pieces of a model and reads its configuration; no weights are opened.</summary>
    /// <exception cref="NablaGenException">
    /// There is no such folder, pieces are missing (one line names each and where it belongs), the folder has another
    /// layout, or the configuration is wrong.
    /// </exception>
    public static ModelFolder Open(string path)
    {
        if (!Directory.Exists(path))
        {
            throw new NablaGenException(
                File.Exists(path) ? $"{path}: expected a model folder, found a file." : $"{path}: no such model folder.");
        }

        (string What, string[] Files)[] pieces =
        [
            ("the transformer's configuration", [ConfigFile]),
            ("the transformer's weights", [DitFile, DitIndex]),
            ("the text encoder", [TextEncoderFile + ".safetensors", TextEncoderFile + ".pth"]),
            ("the VAE", [VaeFile + ".safetensors", VaeFile + ".pth"]),
            ("the tokenizer", [TokenizerFile]),
        ];
        var found = Array.ConvertAll(pieces, piece => piece.Files.Select(file => IOPath.Combine(path, file)).FirstOrDefault(File.Exists));
        var missing = pieces.Where((_, i) => found[i] is null)
            .Select(piece => $"{piece.What} (expected {string.Join(" or ", piece.Files)})")
            .ToList();
        if (missing.Count == 0)
        {
            return new ModelFolder(path, found!);
        }

        if (IsDiffusers(path))
        {
            throw new NablaGenException($"{path}: is in the Diffusers layout (model_index.json, transformer/, vae/): "
                + $"expected the official one, with {DitFile} and {ConfigFile} in the folder itself. "
                + "Download the repository without \"-Diffusers\" in its name.");
        }

        throw new NablaGenException($"{path}: the model folder is not complete: it lacks {string.Join(", ", missing)}.");
    }

    /// <summary>A model whose weights are not on disk, for measurements.</summary>
    /// <param name="dit">The transformer's sizes.</param>
    /// <param name="others">The other models' sizes and the name.</param>
    /// <param name="tokenizer">The tokenizer's file, which is.</param>
    /// <param name="open">The weights of <see cref="DitFile"/>, <see cref="TextEncoderFile"/> and <see cref="VaeFile"/>.</param>
    internal static ModelFolder InMemory(DitConfig dit, NablaGenJson others, string tokenizer, Func<string, ITensorSource> open) =>
        new(dit, others, tokenizer, open);

    /// <summary>Opens the transformer's weights and verifies their headers.</summary>
    /// <exception cref="NablaGenException">They are not whole and well-formed.</exception>
    public ITensorSource OpenDit() => _open(DitPath);

    /// <summary>Opens the text encoder's weights and verifies their header.</summary>
    /// <exception cref="NablaGenException">They are not whole and well-formed.</exception>
    public ITensorSource OpenTextEncoder() => _open(TextEncoderPath);

    /// <summary>Opens the VAE's weights and verifies their header.</summary>
    /// <exception cref="NablaGenException">They are not whole and well-formed.</exception>
    public ITensorSource OpenVae() => _open(VaePath);

    /// <summary>
    /// Checks every key, shape and type of the three models from their headers, before anything is loaded or multiplied.
    /// </summary>
    /// <param name="dit">Name → shape of the transformer's parameters.</param>
    /// <param name="textEncoder">Name → shape of the text encoder's parameters.</param>
    /// <param name="vae">Name → shape of the VAE's parameters.</param>
    /// <exception cref="NablaGenException">A file is bad or is not of the configuration's model.</exception>
    public void Check(
        IReadOnlyDictionary<string, long[]> dit,
        IReadOnlyDictionary<string, long[]> textEncoder,
        IReadOnlyDictionary<string, long[]> vae)
    {
        foreach (var (path, shapes) in new[] { (DitPath, dit), (TextEncoderPath, textEncoder), (VaePath, vae) })
        {
            using var source = _open(path);
            CheckpointLoader.Check(source, shapes);
        }

        if (!File.Exists(TokenizerPath))
        {
            throw new NablaGenException($"{TokenizerPath}: no such file: expected the tokenizer's SentencePiece model.");
        }
    }

    /// <summary>The hash of all weights and the tokenizer: see <see cref="ModelHash"/>. The name where they are not on disk.</summary>
    /// <exception cref="NablaGenException">A file can't be read.</exception>
    public string ComputeHash()
    {
        using var dit = OpenDit();
        if (dit.Files.Count == 0)
        {
            return Name;
        }

        return ModelHash.Compute([.. dit.Files, TextEncoderPath, VaePath, TokenizerPath]);
    }

    private static bool IsDiffusers(string path) =>
        File.Exists(IOPath.Combine(path, "model_index.json"))
        || (Directory.Exists(IOPath.Combine(path, "transformer")) && Directory.Exists(IOPath.Combine(path, "vae")));

    private static ITensorSource OpenFile(string path) => IOPath.GetExtension(path) switch
    {
        ".json" => ShardedCheckpoint.Open(path),
        ".pth" => PthFile.Open(path),
        _ => SafetensorsFile.Open(path),
    };

    // The three models were made for one another.
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
