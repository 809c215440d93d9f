using System.Text.Json;
using System.Text.Json.Nodes;
using NablaGen.Files;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Weights;

namespace NablaGen.Models.Wan.Converting;

/// <summary>The small files of a model's folder.</summary>
internal static class FolderFiles
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Writes JSON; its folder is made.</summary>
    public static void Json(string path, JsonNode json) => OutputFile.Write(path, file => JsonSerializer.Serialize(file, json, Indented));

    /// <summary>Numbers or truths as JSON.</summary>
    public static JsonArray List<T>(IEnumerable<T> values) => new([.. values.Select(value => (JsonNode?)JsonValue.Create(value))]);

    /// <summary>Writes a model's tokenizer.</summary>
    /// <param name="model">The model.</param>
    /// <param name="sentencePiece">The name of a SentencePiece model.</param>
    /// <param name="json">The name of a <c>tokenizer.json</c>; null where the layout has none.</param>
    /// <exception cref="NablaGenException">It is in no form that the layout has.</exception>
    public static void Tokenizer(WanVideoModel model, string sentencePiece, string? json)
    {
        var path = model.TokenizerPath;
        var isJson = Path.GetExtension(path).Equals(".json", StringComparison.OrdinalIgnoreCase);
        var bytes = TensorSources.IsTensorFile(path) ? TokenizerFile.BytesInside(path) : isJson && json is null ? null : File.ReadAllBytes(path);
        if (bytes is null)
        {
            throw new NablaGenException($"{path}: its tokenizer is no SentencePiece model, which this layout needs: name umT5's spiece.model with --tokenizer.");
        }

        OutputFile.Write(isJson ? json! : sentencePiece, file => file.Write(bytes));
    }
}
