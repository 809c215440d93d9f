using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Models.Wan.Vae;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>
/// The layout of the official downloads (Wan-AI/Wan2.1-*, Wan-AI/Wan2.2-*):
/// <code>
/// config.json                                        the transformer's sizes
/// diffusion_pytorch_model.safetensors                its weights, or diffusion_pytorch_model.safetensors.index.json and its shards
/// high_noise_model/, low_noise_model/                instead of these two, one of each in both, where there are two experts
/// models_t5_umt5-xxl-enc-bf16.safetensors or .pth    the text encoder
/// Wan2.1_VAE.safetensors or .pth                     the VAE, or Wan2.2_VAE
/// google/umt5-xxl/spiece.model                       the tokenizer
/// models_clip_*.safetensors or .pth                  the image encoder, or clip_vision_h.safetensors, where the model has one
/// </code>
/// The <c>.safetensors</c> forms of the <c>.pth</c> files hold the same keys, and are preferred where both are there.
/// </summary>
internal sealed class OfficialLayout : IWanLayout
{
    public const string ConfigFile = "config.json";
    public const string TransformerFile = "diffusion_pytorch_model.safetensors";
    public const string TextEncoderFile = "models_t5_umt5-xxl-enc-bf16.safetensors";
    public const string VaeFile = "Wan2.1_VAE.safetensors";
    public const string Vae22File = "Wan2.2_VAE.safetensors";
    public const string TokenizerFile = "google/umt5-xxl/spiece.model";
    public const string ImageEncoderFile = "models_clip_open-clip-xlm-roberta-large-vit-huge-14.safetensors";
    public const string HighNoiseFolder = "high_noise_model";
    public const string LowNoiseFolder = "low_noise_model";

    private static readonly (string What, string[] Files)[] Transformer =
    [
        ("the transformer's configuration", [ConfigFile]),
        ("the transformer's weights", [TransformerFile, TransformerFile + ".index.json"]),
    ];

    private static readonly (string What, string[] Files)[] Others =
    [
        ("the text encoder", [TextEncoderFile, Pth(TextEncoderFile)]),
        ("the VAE", [VaeFile, Pth(VaeFile), Vae22File, Pth(Vae22File)]),
        ("the tokenizer", [TokenizerFile]),
    ];

    private static readonly string[] ImageEncoders = [ImageEncoderFile, Pth(ImageEncoderFile), "clip_vision_h.safetensors"];

    /// <summary>What a download of such a model takes: of each piece its forms, the best first. What isn't there is not needed.</summary>
    public static IEnumerable<string[]> Needs =>
    [
        [NablaGenJson.FileName], ["LICENSE.txt"], ["LICENSE"],
        .. new[] { "", HighNoiseFolder + "/", LowNoiseFolder + "/" }.SelectMany(folder => Transformer.Select(piece => Array.ConvertAll(piece.Files, file => folder + file))),
        .. Others.Select(piece => piece.Files), ImageEncoders,
    ];

    /// <inheritdoc/>
    public string Name => "official";

    /// <inheritdoc/>
    public bool Recognizes(string path) =>
        HasExperts(path) || Transformer.SelectMany(piece => piece.Files).Any(file => File.Exists(Path.Combine(path, file)));

    /// <inheritdoc/>
    public WanFiles Find(string path, ModelPieces pieces)
    {
        (string What, string[] Files)[] all = HasExperts(path)
            ? [.. In(LowNoiseFolder), .. Others, .. In(HighNoiseFolder)]
            : [.. Transformer, .. Others];
        var found = Array.ConvertAll(all, piece => piece.Files.Select(file => Path.Combine(path, file)).FirstOrDefault(File.Exists));
        // What the user names is not looked for; a text encoder of the user's own may bring its tokenizer.
        bool[] isNamed = [false, false, pieces.TextEncoder is not null, pieces.Vae is not null, pieces.Tokenizer is not null || pieces.TextEncoder is not null, false, false];
        var missing = all.Where((_, i) => found[i] is null && !isNamed[i])
            .Select(piece => $"{piece.What} (expected {string.Join(" or ", piece.Files)})")
            .ToList();
        if (missing.Count > 0)
        {
            throw new NablaGenException($"{path}: the model folder is incomplete: it lacks {string.Join(", ", missing)}.");
        }

        var image = ImageEncoders.Select(file => Path.Combine(path, file)).FirstOrDefault(File.Exists);
        return new WanFiles
        {
            Config = found[0]!,
            Transformer = new WeightFile(found[1]!, WanPiece.Transformer),
            TextEncoder = new WeightFile(found[2] ?? pieces.TextEncoder!, WanPiece.TextEncoder),
            Vae = new WeightFile(found[3] ?? pieces.Vae!, WanPiece.Vae),
            VaeSizes = found[3] is { } vae && Path.GetFileNameWithoutExtension(vae) == Path.GetFileNameWithoutExtension(Vae22File) ? VaeConfig.Wan22 : null,
            Tokenizer = new TokenizerFile(found[4] ?? ""),
            HighNoise = found.Length > Others.Length + 2 ? new WeightFile(found[^1]!, WanPiece.Transformer) : null,
            ImageEncoder = image is null ? null : new WeightFile(image, WanPiece.ImageEncoder),
        };
    }

    private static bool HasExperts(string path) =>
        Directory.Exists(Path.Combine(path, HighNoiseFolder)) || Directory.Exists(Path.Combine(path, LowNoiseFolder));

    private static IEnumerable<(string What, string[] Files)> In(string folder) => Transformer.Select(piece =>
        (piece.What.Replace("the transformer's", $"{folder}'s", StringComparison.Ordinal), Array.ConvertAll(piece.Files, file => $"{folder}/{file}")));

    private static string Pth(string file) => Path.ChangeExtension(file, ".pth");
}
