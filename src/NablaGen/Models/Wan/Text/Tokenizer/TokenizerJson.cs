using System.Text.Json;
using NablaGen.Files;

namespace NablaGen.Models.Wan.Text.Tokenizer;

/// <summary>Reads the vocabulary in a <c>tokenizer.json</c> of Hugging Face's tokenizers: a Unigram model and, for some, a character map.</summary>
internal static class TokenizerJson
{
    /// <summary>Reads a file.</summary>
    /// <exception cref="NablaGenException">It can't be read, is not JSON of that form, or its model is not Unigram.</exception>
    public static SentencePieceModel Read(string path)
    {
        using var document = JsonFile.Read(path);
        if (document.RootElement.ValueKind != JsonValueKind.Object || !Has(document.RootElement, "model", JsonValueKind.Object, out var model) || !Has(model, "vocab", JsonValueKind.Array, out var vocabulary))
        {
            throw new NablaGenException($"{path}: has no \"model\" with a list \"vocab\": expected umT5's tokenizer.json, or its spiece.model.");
        }

        if (Has(model, "type", JsonValueKind.String, out var type) && type.GetString() != "Unigram")
        {
            throw new NablaGenException($"{path}: model type is {Line.Key(type.GetString()!)}, expected \"Unigram\" (umT5's tokenizer).");
        }

        var pieces = vocabulary.EnumerateArray().Select((piece, id) =>
            piece.ValueKind == JsonValueKind.Array && piece.GetArrayLength() == 2 && piece[0].ValueKind == JsonValueKind.String
            && piece[1].ValueKind == JsonValueKind.Number && piece[1].TryGetSingle(out var score)
                ? new SentencePiece(piece[0].GetString()!, score)
                : throw new NablaGenException($"{path}: \"vocab\", entry {id}: expected a piece and its score."));
        return SentencePieceModel.Of(pieces, Map(document.RootElement, path));
    }

    // In the normaliser, or in one of its steps.
    private static byte[] Map(JsonElement root, string path)
    {
        if (!Has(root, "normalizer", JsonValueKind.Object, out var normalizer))
        {
            return [];
        }

        JsonElement[] steps = Has(normalizer, "normalizers", JsonValueKind.Array, out var all) ? [.. all.EnumerateArray()] : [normalizer];
        foreach (var step in steps)
        {
            if (step.ValueKind == JsonValueKind.Object && Has(step, "precompiled_charsmap", JsonValueKind.String, out var map))
            {
                return map.TryGetBytesFromBase64(out var bytes) ? bytes : throw new NablaGenException($"{path}: \"precompiled_charsmap\": expected base64.");
            }
        }

        return [];
    }

    private static bool Has(JsonElement json, string key, JsonValueKind kind, out JsonElement value) =>
        json.TryGetProperty(key, out value) && value.ValueKind == kind;
}
