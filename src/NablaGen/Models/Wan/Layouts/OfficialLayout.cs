using NablaGen.Models.Wan.Layouts.Keys;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>
/// The layout of the official downloads (Wan-AI/Wan2.1-T2V-*):
/// <code>
/// config.json                                        the transformer's sizes
/// diffusion_pytorch_model.safetensors                its weights, or diffusion_pytorch_model.safetensors.index.json and its shards
/// models_t5_umt5-xxl-enc-bf16.safetensors or .pth    the text encoder
/// Wan2.1_VAE.safetensors or .pth                     the VAE
/// google/umt5-xxl/spiece.model                       the tokenizer
/// </code>
/// The <c>.safetensors</c> forms of the text encoder and the VAE hold the same keys as the <c>.pth</c> files, and are preferred
/// where both are there.
/// </summary>
internal sealed class OfficialLayout : IWanLayout
{
    public const string ConfigFile = "config.json";
    public const string TransformerFile = "diffusion_pytorch_model.safetensors";
    public const string TextEncoderFile = "models_t5_umt5-xxl-enc-bf16.safetensors";
    public const string VaeFile = "Wan2.1_VAE.safetensors";
    public const string TokenizerFile = "google/umt5-xxl/spiece.model";

    private static readonly (string What, string[] Files)[] Pieces =
    [
        ("the transformer's configuration", [ConfigFile]),
        ("the transformer's weights", [TransformerFile, TransformerFile + ".index.json"]),
        ("the text encoder", [TextEncoderFile, Path.ChangeExtension(TextEncoderFile, ".pth")]),
        ("the VAE", [VaeFile, Path.ChangeExtension(VaeFile, ".pth")]),
        ("the tokenizer", [TokenizerFile]),
    ];

    /// <inheritdoc/>
    public string Name => "official";

    /// <inheritdoc/>
    public bool Recognizes(string path) => Pieces.Take(2).SelectMany(piece => piece.Files).Any(file => File.Exists(Path.Combine(path, file)));

    /// <inheritdoc/>
    public WanFiles Find(string path, ModelPieces pieces)
    {
        var found = Array.ConvertAll(Pieces, piece => piece.Files.Select(file => Path.Combine(path, file)).FirstOrDefault(File.Exists));
        // What the user names is not looked for; a text encoder of the user's own may bring its tokenizer.
        bool[] isNamed = [false, false, pieces.TextEncoder is not null, pieces.Vae is not null, pieces.Tokenizer is not null || pieces.TextEncoder is not null];
        var missing = Pieces.Where((_, i) => found[i] is null && !isNamed[i])
            .Select(piece => $"{piece.What} (expected {string.Join(" or ", piece.Files)})")
            .ToList();
        return missing.Count == 0
            ? new WanFiles
            {
                Config = found[0]!,
                Transformer = new WeightFile(found[1]!, WanPiece.Transformer),
                TextEncoder = new WeightFile(found[2] ?? pieces.TextEncoder!, WanPiece.TextEncoder),
                Vae = new WeightFile(found[3] ?? pieces.Vae!, WanPiece.Vae),
                Tokenizer = new TokenizerFile(found[4] ?? ""),
            }
            : throw new NablaGenException($"{path}: the model folder is incomplete: it lacks {string.Join(", ", missing)}.");
    }
}
