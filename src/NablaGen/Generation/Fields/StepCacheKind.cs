using System.Text.Json;
using NablaGen.Denoising;

namespace NablaGen.Generation.Fields;

/// <summary>A step cache's name, with its threshold or without.</summary>
internal sealed class StepCacheKind : FieldKind<string?>
{
    internal override string Expected => $"one of {string.Join(", ", StepCaches.Names)}, or one with its threshold such as \"easy:0.05\"";

    internal override string Parse(RequestField field, string text, FieldSource source)
    {
        try
        {
            StepCaches.Check(text);
            return text;
        }
        catch (InvalidRequestException error)
        {
            throw source.Wrapped(field, error);
        }
    }

    internal override string Read(RequestField field, JsonElement json, FieldSource source) => json.ValueKind == JsonValueKind.String
        ? Parse(field, json.GetString()!, source)
        : throw source.Unexpected(field, Expected, json);

    internal override void Write(Utf8JsonWriter writer, string? value) => writer.WriteStringValue(value);

    internal override string Format(string? value) => value ?? StepCaches.None;

    internal override void Check(RequestField field, string? value) => StepCaches.Check(value ?? StepCaches.None);
}
