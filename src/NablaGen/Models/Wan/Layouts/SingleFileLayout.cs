using NablaGen.Files;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Weights;
using NablaGen.Weights.Lora;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>
/// A transformer in one file, as ComfyUI and GGUF have it, or a folder that holds one. The other parts are what the user names, or are looked for in
/// the folders of a ComfyUI models directory around it, by their keys and shapes.
/// </summary>
internal sealed class SingleFileLayout : IWanLayout
{
    private static readonly string[] TransformerFolders = ["diffusion_models", "unet"];

    /// <inheritdoc/>
    public string Name => "single file";

    /// <inheritdoc/>
    public bool Recognizes(string path) => File.Exists(path)
        ? TensorSources.IsTensorFile(path) || path.EndsWith(".safetensors.index.json", StringComparison.OrdinalIgnoreCase)
        : Directory.Exists(path) && (TransformerFolders.Any(name => Directory.Exists(Path.Combine(path, name))) || Companions.FilesIn([path], recursion: false).Count > 0);

    /// <inheritdoc/>
    public WanFiles Find(string path, ModelPieces pieces)
    {
        var file = File.Exists(path) ? path : OnlyTransformer(path);
        using var transformer = PieceFile.Open(file)
            ?? throw new NablaGenException(IsLora(file)
                ? $"{file}: is a LoRA by its keys: name the transformer with --model, and this file with --lora."
                : $"{file}: is not a Wan model by its keys: expected a transformer with keys such as \"head.modulation\".");
        if (transformer.Dialect.Piece != WanPiece.Transformer)
        {
            throw new NablaGenException($"{file}: is {WanDialects.WithArticle(transformer.Dialect.Piece)} by its keys: name the transformer with --model, and this file with {WanDialects.Option(transformer.Dialect.Piece)}.");
        }

        var folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        var (config, dit) = Sizes(file, folder, transformer.Source);
        var experts = Experts(file, dit);
        var near = new Companions(file);
        var choices = new List<string>();
        if (file != path)
        {
            choices.Add($"transformer {file}");
        }

        if (experts is not null)
        {
            choices.Add(experts.Low == file ? $"high-noise expert {experts.High}" : $"low-noise expert {experts.Low}");
        }

        var text = pieces.TextEncoder is null ? near.Find(WanPiece.TextEncoder, source => ShapeSizes.TextEncoder(source).Dim is var dim && dim != dit.TextDim
            ? $"its width is {dim}, and the transformer reads {dit.TextDim}"
            : null) : null;
        var vae = pieces.Vae is null ? near.Find(WanPiece.Vae, source => ShapeSizes.LatentChannels(source) is var channels && channels != dit.OutDim
            ? $"its latents have {channels} channels, and the transformer's {dit.OutDim}"
            : null) : null;
        var image = pieces.ImageEncoder is null && transformer.Source.Entries.TryGetValue(DitVariant.Projection, out var projection)
            ? near.Find(WanPiece.ImageEncoder, source => ShapeSizes.ImageWidth(source) is var dim && dim != projection.Shape[0]
                ? $"its width is {dim}, and the transformer attends to {projection.Shape[0]}"
                : null) : null;
        TokenizerFile? tokenizer = null;
        if (pieces.Tokenizer is null && text is not null)
        {
            tokenizer = TokenizerFile.Near(text.Path)
                ?? throw new NablaGenException($"{text.Path}: has no tokenizer inside or beside it: name umT5's spiece.model or tokenizer.json with --tokenizer.");
        }

        if (text is not null)
        {
            choices.Add($"text encoder {text.Description}");
            choices.Add($"tokenizer {(pieces.Tokenizer ?? tokenizer!.Path) switch { var at when at == text.Path => "inside it", var at => at }}");
        }

        if (vae is not null)
        {
            choices.Add($"VAE {vae.Description}");
        }

        if (image is not null)
        {
            choices.Add($"image encoder {image.Description}");
        }

        return new WanFiles
        {
            Config = config,
            Dit = dit,
            TextEncoderSizes = text is null ? null : Read(text.Path, WanPiece.TextEncoder, ShapeSizes.TextEncoder),
            VaeSizes = vae is null ? null : Read(vae.Path, WanPiece.Vae, ShapeSizes.TryVae),
            Transformer = new WeightFile(experts?.Low ?? file, WanPiece.Transformer),
            HighNoise = experts is null ? null : new WeightFile(experts.High, WanPiece.Transformer),
            TextEncoder = new WeightFile(text?.Path ?? pieces.TextEncoder!, WanPiece.TextEncoder),
            Vae = new WeightFile(vae?.Path ?? pieces.Vae!, WanPiece.Vae),
            Tokenizer = tokenizer ?? new TokenizerFile(""),
            ImageEncoder = image is null ? null : new WeightFile(image.Path, WanPiece.ImageEncoder),
            ImageEncoderSizes = image is null ? null : Read(image.Path, WanPiece.ImageEncoder, ShapeSizes.TryImageEncoder),
            Others = [.. new[] { experts is null ? null : experts.Low == file ? experts.High : experts.Low, text?.Path, vae?.Path, image?.Path }.OfType<string>()],
            Choices = choices,
        };
    }

    /// <summary>The folder of the only transformer in a folder, beside which its nablagen.json lies.</summary>
    /// <exception cref="NablaGenException">There is none, or there are several that are no pair.</exception>
    public static string HomeOf(string folder) => Path.GetDirectoryName(OnlyTransformer(folder))!;

    private static bool IsLora(string file)
    {
        using var source = TensorSources.Open(file);
        return LoraInspection.Of(source) is not null;
    }

    // The sizes from the shapes; a note in the file or a config.json beside it says the rest, if it is this model's.
    internal static (string Path, DitConfig Config) Sizes(string file, string folder, ITensorSource source)
    {
        if (TransformerNote.Read(source) is { } said)
        {
            return (file, said);
        }

        var beside = Path.Combine(folder, OfficialLayout.ConfigFile);
        if (!File.Exists(beside))
        {
            return (file, ShapeSizes.Dit(source));
        }

        using var document = JsonFile.Read(beside);
        var fields = new JsonFields(document.RootElement, beside);
        if (document.RootElement.TryGetProperty("num_attention_heads", out _))
        {
            return (beside, DiffusersConfigs.Dit(beside, source));
        }

        return document.RootElement.TryGetProperty("num_heads", out _) ? (beside, ModelConfigs.Dit(fields) with { LowRank = DitVariant.LowRankOf(source) }) : (file, ShapeSizes.Dit(source));
    }

    // The other expert must be another one of the same sizes.
    private static ExpertPair? Experts(string file, DitConfig dit)
    {
        if (ExpertPair.Find(file) is not { } pair)
        {
            return null;
        }

        var other = pair.Low == file ? pair.High : pair.Low;
        using var source = PieceFile.Open(other, WanPiece.Transformer);
        return Sizes(other, Path.GetDirectoryName(Path.GetFullPath(other))!, source).Config == dit ? pair : throw new NablaGenException(
            $"{other}: has other sizes than {file}: expected the two experts of one model.");
    }

    private static T Read<T>(string path, WanPiece piece, Func<ITensorSource, T> read)
    {
        using var source = PieceFile.Open(path, piece);
        return read(source);
    }

    private static string OnlyTransformer(string folder)
    {
        string[] places = [.. TransformerFolders.Select(name => Path.Combine(folder, name)).Where(Directory.Exists)];
        var found = Companions.FilesIn(places.Length > 0 ? places : [folder]).Where(file => Companions.Is(file, WanPiece.Transformer)).ToList();
        return found switch
        {
            [var only] => only,
            [var one, var other] when ExpertPair.Find(one) is { } pair && Path.GetFullPath(other) == Path.GetFullPath(pair.High == one ? pair.Low : pair.High) => pair.Low,
            [] => throw new NablaGenException($"{folder}: holds no transformer of a Wan model: name its file with --model."),
            _ => throw new NablaGenException($"{folder}: holds {found.Count} transformers: name one of them with --model, such as {found[0]}."),
        };
    }
}
