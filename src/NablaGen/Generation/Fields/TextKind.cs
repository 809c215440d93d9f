using System.Text.Json;
using NablaGen.Files;

namespace NablaGen.Generation.Fields;

/// <summary>Text as it is, or one of a few names.</summary>
internal sealed class TextKind(IReadOnlyCollection<string>? names) : FieldKind<string?>
{
    /// <summary>The most characters of a text. A model reads some thousands; cleaning more takes seconds a million.</summary>
    public const int MostCharacters = 2_000_000;

    internal override string Expected => names is null ? "a string" : $"one of {string.Join(", ", names)}";

    internal override string Parse(RequestField field, string text, FieldSource source) =>
        names?.Contains(text) == false ? throw source.Wrapped(field, Unknown(field, text))
        : text.Length > MostCharacters ? throw source.Wrapped(field, TooLong(field, text)) : text;

    internal override string Read(RequestField field, JsonElement json, FieldSource source) =>
        json.ValueKind == JsonValueKind.String && json.GetString() is { } text && names?.Contains(text) != false
            ? text
            : throw source.Unexpected(field, Expected, json);

    internal override void Write(Utf8JsonWriter writer, string? value) => writer.WriteStringValue(value);

    internal override string Format(string? value) => names is null ? Line.Key(value ?? "") : value ?? "";

    internal override void Check(RequestField field, string? value)
    {
        if (value is not null && names?.Contains(value) == false)
        {
            throw Unknown(field, value);
        }

        if (value?.Length > MostCharacters)
        {
            throw TooLong(field, value);
        }
    }

    private static InvalidRequestException TooLong(RequestField field, string text) =>
        new($"{field.Label}: expected at most {MostCharacters} characters, found {text.Length}");

    private InvalidRequestException Unknown(RequestField field, string text) =>
        new($"{field.Label} '{Line.Of(text, 200)}' is not known: use {string.Join(", ", names!)}");
}
