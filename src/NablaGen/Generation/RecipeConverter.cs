using System.Text.Json;
using System.Text.Json.Serialization;
using NablaGen.Generation.Fields;

namespace NablaGen.Generation;

/// <summary>A recipe as JSON: the request's fields in their order, then what made the video of them.</summary>
internal sealed class RecipeConverter : JsonConverter<Recipe>
{
    // A null in a recipe's place is an error like any other.
    public override bool HandleNull => true;

    public override Recipe Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using var document = JsonDocument.ParseValue(ref reader);
        try
        {
            return Read(document.RootElement, "a line", RequestFields.Table);
        }
        catch (Exception error) when (error is NablaGenException or InvalidOperationException)
        {
            throw new JsonException(error.Message, error);
        }
    }

    public override void Write(Utf8JsonWriter writer, Recipe value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        foreach (var (field, found) in value.Values.InOrder())
        {
            field.WriteRecipe(writer, found);
        }

        writer.WriteString("model", value.Model);
        writer.WriteString("model_hash", value.ModelHash);
        writer.WriteString("device", value.Device);
        writer.WriteString("dtype", value.Dtype);
        if (value.Precision is { } precision)
        {
            writer.WriteString("precision", precision);
        }

        if (value.AttentionPrecision is { } attention)
        {
            writer.WriteString("attention_precision", attention);
        }

        writer.WriteString("version", value.Version);
        writer.WriteEndObject();
    }

    /// <summary>Reads a recipe's object.</summary>
    /// <exception cref="NablaGenException">A key is missing or wrong.</exception>
    public static Recipe Read(JsonElement json, string where, RequestFieldTable table)
    {
        var source = FieldSource.Recipe(where);
        if (json.ValueKind != JsonValueKind.Object)
        {
            throw source.NotAnObject(json);
        }

        string Text(string key) => !json.TryGetProperty(key, out var value) ? throw source.Missing(key)
            : value.ValueKind == JsonValueKind.String ? value.GetString()!
            : throw source.Unexpected(key, "a string", value);

        return new Recipe
        {
            Values = table.ReadRecipe(json, source),
            Model = Text("model"),
            ModelHash = Text("model_hash"),
            Device = Text("device"),
            Dtype = Text("dtype"),
            Precision = json.TryGetProperty("precision", out _) ? Text("precision") : null,
            AttentionPrecision = json.TryGetProperty("attention_precision", out _) ? Text("attention_precision") : null,
            Version = Text("version"),
        };
    }
}
