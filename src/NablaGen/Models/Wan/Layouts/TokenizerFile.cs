using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Weights;
using NablaGen.Weights.Gguf;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>A tokenizer on disk, in a file of its own or inside the text encoder's.</summary>
/// <param name="Path">The file.</param>
/// <param name="Load">Reads it.</param>
internal sealed record TokenizerFile(string Path, Func<UmT5Tokenizer> Load)
{
    private const long LongestModel = 100_000_000;
    private const string SentencePiece = "spiece.model";
    private const string Json = "tokenizer.json";
    private const string GgufTokens = "tokenizer.ggml.tokens";

    /// <summary>A SentencePiece model.</summary>
    public TokenizerFile(string path)
        : this(path, () => UmT5Tokenizer.Load(path))
    {
    }

    /// <summary>The tokenizer that a path names: a SentencePiece model, a tokenizer.json, a folder with one of them, or weights with one inside.</summary>
    /// <exception cref="NablaGenException">There is no such path, or no tokenizer in it.</exception>
    public static TokenizerFile At(string path)
    {
        if (Directory.Exists(path))
        {
            return InFolder(path) ?? throw new NablaGenException($"{path}: has no tokenizer: expected {SentencePiece} or {Json} in it.");
        }

        if (!File.Exists(path))
        {
            throw new NablaGenException($"{path}: no such file: expected the tokenizer's {SentencePiece} or {Json}, or a file with a tokenizer inside.");
        }

        return TensorSources.IsTensorFile(path)
            ? Inside(path) ?? throw new NablaGenException($"{path}: has no tokenizer inside: name umT5's {SentencePiece} with --tokenizer.")
            : Own(path);
    }

    /// <summary>The tokenizer inside a text encoder's file, beside it or in a folder near it; null where there is none.</summary>
    /// <param name="textEncoder">The text encoder's weights.</param>
    public static TokenizerFile? Near(string textEncoder)
    {
        if (File.Exists(textEncoder) && TensorSources.IsTensorFile(textEncoder) && Inside(textEncoder) is { } inside)
        {
            return inside;
        }

        var folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(textEncoder))!;
        var above = System.IO.Path.GetDirectoryName(folder) ?? folder;
        return new[]
        {
            folder, System.IO.Path.Combine(folder, "tokenizer"), System.IO.Path.Combine(folder, "google", "umt5-xxl"), System.IO.Path.Combine(above, "tokenizer"),
            System.IO.Path.Combine(above, "google", "umt5-xxl"),
        }.Select(InFolder).FirstOrDefault(found => found is not null);
    }

    /// <summary>Whether weights have a tokenizer inside.</summary>
    /// <exception cref="NablaGenException">The file can't be read.</exception>
    public static bool IsInside(string path) => Inside(path) is not null;

    /// <summary>The SentencePiece model inside weights; null where there is none, and for GGUF, which has no such bytes.</summary>
    /// <exception cref="NablaGenException">The file can't be read.</exception>
    public static byte[]? BytesInside(string path)
    {
        using var source = TensorSources.Open(path);
        return source is GgufFile || KeyOf(source) is not { } key ? null : BytesOf(source, key);
    }

    private static TokenizerFile? InFolder(string folder) =>
        new[] { SentencePiece, Json }.Select(name => System.IO.Path.Combine(folder, name)).Where(File.Exists).Select(Own).FirstOrDefault();

    private static TokenizerFile Own(string path) => System.IO.Path.GetExtension(path).Equals(".json", StringComparison.OrdinalIgnoreCase)
        ? new TokenizerFile(path, () => UmT5Tokenizer.Of(TokenizerJson.Read(path), path))
        : new TokenizerFile(path);

    private static TokenizerFile? Inside(string path)
    {
        using var source = TensorSources.Open(path);
        var isThere = source is GgufFile gguf ? gguf.Values.ContainsKey(GgufTokens) : KeyOf(source) is not null;
        return isThere ? new TokenizerFile(path, () => UmT5Tokenizer.Of(ReadInside(path), path)) : null;
    }

    private static SentencePieceModel ReadInside(string path)
    {
        using var source = TensorSources.Open(path);
        if (source is GgufFile gguf)
        {
            return gguf.Values.GetValueOrDefault(GgufTokens) is string[] tokens && gguf.Values.GetValueOrDefault("tokenizer.ggml.scores") is float[] scores
                && tokens.Length == scores.Length
                ? SentencePieceModel.Of(
                    tokens.Zip(scores, (text, score) => new SentencePiece(text, score)), gguf.Values.GetValueOrDefault("tokenizer.ggml.precompiled_charsmap") as byte[] ?? [])
                : throw new NablaGenException($"{path}: its tokenizer lacks \"{GgufTokens}\" or as many \"tokenizer.ggml.scores\": name umT5's {SentencePiece} with --tokenizer.");
        }

        using var stream = new MemoryStream(BytesOf(source, KeyOf(source)!));
        return SentencePieceModel.Read(stream, path);
    }

    private static byte[] BytesOf(ITensorSource source, string key)
    {
        var entry = source.Entries[key];
        if (entry.Type.Size() != 1 || entry.ByteCount > LongestModel)
        {
            throw new NablaGenException($"{source.Path}: \"{entry.Name}\" is {entry.Type} of {entry.ByteCount} bytes: expected the bytes of umT5's {SentencePiece}.");
        }

        using var scope = NewDisposeScope();
        return source.Read(key).to_type(ScalarType.Byte).flatten().data<byte>().ToArray();
    }

    private static string? KeyOf(ITensorSource source) => source.Entries.Keys.FirstOrDefault(
        key => key == HuggingFaceTextKeys.Tokenizer || key.EndsWith("." + HuggingFaceTextKeys.Tokenizer, StringComparison.Ordinal));
}
