using NablaGen.Models.Wan.Image;

namespace NablaGen.Models.Wan.Layouts.Keys;

/// <summary>The parts of a Wan model that have weights of their own.</summary>
internal enum WanPiece
{
    /// <summary>The diffusion transformer.</summary>
    Transformer,

    /// <summary>umT5's encoder.</summary>
    TextEncoder,

    /// <summary>The causal video VAE.</summary>
    Vae,

    /// <summary>The visual tower of CLIP that Wan2.1's models of pictures have.</summary>
    ImageEncoder,
}

/// <summary>The names that some program gives to a part's tensors.</summary>
/// <param name="Piece">The part.</param>
/// <param name="Program">Whose names they are.</param>
/// <param name="Mark">A key that only this part has, under these names.</param>
/// <param name="Names">
/// Makes, from all keys without their prefix, the function from one of them to Wan's own name: null for what is no weight (a tokenizer).
/// </param>
internal sealed record WanDialect(WanPiece Piece, string Program, string Mark, Func<IReadOnlySet<string>, Func<string, string?>> Names);

/// <summary>The names that are known. A new program's are a new file and a line here.</summary>
internal static class WanDialects
{
    /// <summary>All of them; the first whose mark is there counts.</summary>
    public static IReadOnlyList<WanDialect> All { get; } =
    [
        new(WanPiece.Transformer, "Wan", "head.modulation", Own),
        new(WanPiece.Transformer, "Diffusers", "condition_embedder.time_embedder.linear_1.bias", DiffusersTransformerKeys.Names),
        new(WanPiece.TextEncoder, "Wan", "token_embedding.weight", _ => key => key == HuggingFaceTextKeys.Tokenizer ? null : key),
        new(WanPiece.TextEncoder, "Hugging Face", "encoder.final_layer_norm.weight", HuggingFaceTextKeys.Names),
        new(WanPiece.TextEncoder, "llama.cpp", "enc.output_norm.weight", LlamaTextKeys.Names),
        new(WanPiece.Vae, "Wan", "decoder.head.2.weight", Own),
        new(WanPiece.Vae, "Diffusers", "decoder.conv_out.weight", DiffusersVaeKeys.Names),
        // Their tensors are put together where they are read (ImageEncoderKeys): names alone don't do it.
        new(WanPiece.ImageEncoder, "Wan", "visual.cls_embedding", Own),
        new(WanPiece.ImageEncoder, "Wan", "cls_embedding", Own),
        new(WanPiece.ImageEncoder, "Hugging Face", ClipVisionSource.Prefix + "embeddings.class_embedding", Own),
    ];

    /// <summary>What a part is called in messages.</summary>
    public static string Title(WanPiece piece) => piece switch
    {
        WanPiece.Transformer => "transformer",
        WanPiece.TextEncoder => "text encoder",
        WanPiece.Vae => "VAE",
        WanPiece.ImageEncoder => "image encoder",
        _ => throw new ArgumentOutOfRangeException(nameof(piece), piece, null),
    };

    /// <summary>The same with its article.</summary>
    public static string WithArticle(WanPiece piece) => $"{(piece == WanPiece.ImageEncoder ? "an" : "a")} {Title(piece)}";

    /// <summary>The option that names a part.</summary>
    public static string Option(WanPiece piece) => piece switch
    {
        WanPiece.Transformer => "--model",
        WanPiece.TextEncoder => "--text-encoder",
        WanPiece.Vae => "--vae",
        WanPiece.ImageEncoder => "--image-encoder",
        _ => throw new ArgumentOutOfRangeException(nameof(piece), piece, null),
    };

    private static Func<string, string?> Own(IReadOnlySet<string> keys) => key => key;
}
