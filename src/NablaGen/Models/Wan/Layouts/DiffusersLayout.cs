using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Layouts.Keys;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>
/// The layout of the Diffusers library: <c>transformer/</c>, <c>text_encoder/</c> and <c>vae/</c>, each with a <c>config.json</c> and weights in one
/// file or shards, and <c>tokenizer/</c>; <c>transformer_2/</c> is the low-noise expert where there are two, and <c>image_encoder/</c> belongs to
/// models of pictures. Sizes come from the shapes; a configuration says what shapes don't.
/// </summary>
internal sealed class DiffusersLayout : IWanLayout
{
    /// <summary>The file that says which pipeline of the library a folder is for.</summary>
    public const string Index = "model_index.json";

    private const string Config = "config.json";

    private static readonly string[] Transformer = Weights("transformer/diffusion_pytorch_model");
    private static readonly string[] LowNoise = Weights("transformer_2/diffusion_pytorch_model");
    private static readonly string[] ImageEncoder = Weights("image_encoder/model");
    private static readonly string[] TextEncoder = Weights("text_encoder/model");
    private static readonly string[] Vae = Weights("vae/diffusion_pytorch_model");
    private static readonly string[] Tokenizer = ["tokenizer/spiece.model", "tokenizer/tokenizer.json"];

    /// <summary>What a download of such a model takes: of each piece its forms, the best first. What isn't there is not needed.</summary>
    public static IEnumerable<string[]> Needs =>
    [
        [Index], ["LICENSE.txt"], ["LICENSE"], Transformer, LowNoise, TextEncoder, Vae, ImageEncoder, Tokenizer,
        .. new[] { "transformer", "transformer_2", "text_encoder", "vae", "image_encoder" }.Select(folder => new[] { $"{folder}/{Config}" }),
    ];

    /// <inheritdoc/>
    public string Name => "Diffusers";

    /// <inheritdoc/>
    public bool Recognizes(string path) =>
        File.Exists(Path.Combine(path, Index))
        || (Directory.Exists(Path.Combine(path, "transformer")) && Directory.Exists(Path.Combine(path, "vae")));

    /// <inheritdoc/>
    public WanFiles Find(string path, ModelPieces pieces)
    {
        string? Locate(string[] files) => files.Select(file => Path.Combine(path, file)).FirstOrDefault(File.Exists);

        var (transformer, text, vae, tokenizer) = (Locate(Transformer), Locate(TextEncoder), Locate(Vae), Locate(Tokenizer));
        var missing = new (string What, bool IsThere, string[] Files)[]
        {
            ("the transformer's weights", transformer is not null, Transformer),
            ("the text encoder", (text ?? pieces.TextEncoder) is not null, TextEncoder),
            ("the VAE", (vae ?? pieces.Vae) is not null, Vae),
            ("the tokenizer", (tokenizer ?? pieces.Tokenizer ?? pieces.TextEncoder) is not null, Tokenizer),
        }.Where(piece => !piece.IsThere).Select(piece => $"{piece.What} (expected {string.Join(" or ", piece.Files)})").ToList();
        if (missing.Count > 0)
        {
            throw new NablaGenException($"{path}: the model folder, in the Diffusers layout, is incomplete: it lacks {string.Join(", ", missing)}.");
        }

        // The first is the high-noise expert where there are two.
        var low = Locate(LowNoise);
        var (file, dit) = Sizes(path, "transformer", transformer!);
        if (low is not null && Sizes(path, "transformer_2", low).Dit != dit)
        {
            throw new NablaGenException($"{low}: has other sizes than {transformer}: expected the two experts of one model.");
        }

        var files = new WanFiles
        {
            Config = file,
            Dit = dit,
            Transformer = new WeightFile(low ?? transformer!, WanPiece.Transformer),
            HighNoise = low is null ? null : new WeightFile(transformer!, WanPiece.Transformer),
            Boundary = low is null ? null : DiffusersConfigs.Boundary(Path.Combine(path, Index)),
            TextEncoder = new WeightFile(text ?? pieces.TextEncoder!, WanPiece.TextEncoder),
            Vae = new WeightFile(vae ?? pieces.Vae!, WanPiece.Vae),
            Tokenizer = tokenizer is null ? new TokenizerFile("") : TokenizerFile.At(tokenizer),
        };
        if (Locate(ImageEncoder) is { } image && pieces.ImageEncoder is null)
        {
            var encoder = new WeightFile(image, WanPiece.ImageEncoder);
            using var opened = encoder.Open();
            files = files with { ImageEncoder = encoder, ImageEncoderSizes = ShapeSizes.TryImageEncoder(opened) };
        }

        if (text is not null && pieces.TextEncoder is null)
        {
            using var encoder = files.TextEncoder.Open();
            files = files with { TextEncoderSizes = ShapeSizes.TextEncoder(encoder) };
        }

        if (vae is not null && pieces.Vae is null)
        {
            var sizes = Path.Combine(path, "vae", Config);
            using var autoencoder = files.Vae.Open();
            files = files with { VaeSizes = File.Exists(sizes) ? DiffusersConfigs.Vae(sizes) : ShapeSizes.TryVae(autoencoder) };
        }

        return files;
    }

    private static (string Config, DitConfig Dit) Sizes(string path, string folder, string weights)
    {
        var config = Path.Combine(path, folder, Config);
        using var source = PieceFile.Open(weights, WanPiece.Transformer);
        return File.Exists(config) ? (config, DiffusersConfigs.Dit(config, source)) : (weights, ShapeSizes.Dit(source));
    }

    private static string[] Weights(string stem) => [stem + ".safetensors", stem + ".safetensors.index.json"];
}
