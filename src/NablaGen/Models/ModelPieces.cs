namespace NablaGen.Models;

/// <summary>
/// Files that take the place of a model's own, where the user names them. A <c>nablagen.json</c> may name them too, under <c>defaults</c> and by
/// the same names.
/// </summary>
/// <param name="TextEncoder">The text encoder's weights; null for the model's own.</param>
/// <param name="Vae">The VAE's weights; null for the model's own.</param>
/// <param name="Tokenizer">The tokenizer: a SentencePiece model, a tokenizer.json, or a file that has one inside; null for the model's own.</param>
/// <param name="ImageEncoder">The image encoder's weights, of models that have one; null for the model's own.</param>
public sealed record ModelPieces(string? TextEncoder = null, string? Vae = null, string? Tokenizer = null, string? ImageEncoder = null)
{
    /// <summary>The name of the text encoder among a request's fields and a model's defaults.</summary>
    public const string TextEncoderKey = "text_encoder";

    /// <summary>The name of the VAE.</summary>
    public const string VaeKey = "vae";

    /// <summary>The name of the tokenizer.</summary>
    public const string TokenizerKey = "tokenizer";

    /// <summary>The name of the image encoder.</summary>
    public const string ImageEncoderKey = "image_encoder";

    /// <summary>None: all are the model's own.</summary>
    public static ModelPieces None { get; } = new();

    /// <summary>These, and where they say nothing, others.</summary>
    public ModelPieces Over(ModelPieces others) =>
        new(TextEncoder ?? others.TextEncoder, Vae ?? others.Vae, Tokenizer ?? others.Tokenizer, ImageEncoder ?? others.ImageEncoder);

    /// <summary>These, and where they say nothing, what a model's defaults name: paths beside the file that says them.</summary>
    /// <param name="defaults">The model's defaults.</param>
    public ModelPieces Over(ModelDefaults defaults)
    {
        string? Named(string key) => defaults.Find(key) is { ValueKind: System.Text.Json.JsonValueKind.String } value
            ? Path.Combine(Path.GetDirectoryName(defaults.Path) ?? "", value.GetString()!)
            : null;

        return new ModelPieces(TextEncoder ?? Named(TextEncoderKey), Vae ?? Named(VaeKey), Tokenizer ?? Named(TokenizerKey), ImageEncoder ?? Named(ImageEncoderKey));
    }
}
