using System.Text.Json;
using NablaGen.Attention;

namespace NablaGen.Generation.Fields;

/// <summary>Attention expressions. One that names a file of thresholds is read with it; a recipe brings its thresholds along and opens no file.</summary>
internal sealed class AttentionKind : FieldKind<AttentionExpression?>
{
    internal const string HeadThresholds = "head_thresholds";

    internal override string Expected => "an attention expression such as \"nabla-0.7\"";

    internal override AttentionExpression Parse(RequestField field, string text, FieldSource source)
    {
        try
        {
            return ThresholdFile.ParseExpression(source.Folder is { } folder ? AttentionExpression.InFolder(text, folder) : text);
        }
        catch (NablaGenException error)
        {
            throw source.Wrapped(field, error);
        }
    }

    internal override AttentionExpression Read(RequestField field, JsonElement json, FieldSource source) => json.ValueKind == JsonValueKind.String
        ? Parse(field, json.GetString()!, source)
        : throw source.Unexpected(field, Expected, json);

    // The recipe's text and, beside it, its thresholds.
    internal AttentionExpression ReadRecipe(RequestField field, JsonElement recipe, FieldSource source)
    {
        var text = recipe.GetProperty(field.Key);
        if (text.ValueKind != JsonValueKind.String)
        {
            throw source.Unexpected(field, Expected, text);
        }

        try
        {
            var thresholds = recipe.TryGetProperty(HeadThresholds, out var json) && json.ValueKind != JsonValueKind.Null
                ? json.Deserialize<HeadThresholds>()
                : null;
            return AttentionExpression.ParseRecipe(text.GetString()!, thresholds);
        }
        catch (JsonException error)
        {
            throw source.Fault(HeadThresholds, (error.InnerException as NablaGenException)?.Message ?? "expected a list of thresholds for each layer");
        }
        catch (NablaGenException error)
        {
            throw source.Wrapped(field, error);
        }
    }

    internal override void Write(Utf8JsonWriter writer, AttentionExpression? value) => writer.WriteStringValue(value?.ToString());

    internal override string Format(AttentionExpression? value) => value?.ToString() ?? "";
}
