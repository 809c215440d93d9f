using System.Text.Json;
using NablaGen.Files;

namespace NablaGen.Generation.Fields;

/// <summary>Pictures by name, looked at when they are read. A recipe has the name and the hash, and opens no file.</summary>
internal sealed class PictureKind : FieldKind<SourcePicture?>
{
    private const string Path = "path";
    private const string Sha256 = "sha256";

    internal override string Expected => "the name of a picture";

    internal override SourcePicture Parse(RequestField field, string text, FieldSource source)
    {
        try
        {
            return SourcePicture.Open(text);
        }
        catch (NablaGenException error)
        {
            throw source.Wrapped(field, error);
        }
    }

    internal override SourcePicture Read(RequestField field, JsonElement json, FieldSource source) =>
        source.Place == FieldPlaces.Recipe
            ? json.ValueKind == JsonValueKind.Object && Text(json, Path) is { } path && Text(json, Sha256) is { Length: 64 } hash
                ? SourcePicture.Recorded(path, hash)
                : throw source.Unexpected(field, $"an object with \"{Path}\" and \"{Sha256}\"", json)
            : json.ValueKind == JsonValueKind.String ? Parse(field, json.GetString()!, source)
            : throw source.Unexpected(field, Expected, json);

    internal override void Write(Utf8JsonWriter writer, SourcePicture? value)
    {
        writer.WriteStartObject();
        writer.WriteString(Path, value?.Name);
        writer.WriteString(Sha256, value?.Sha256);
        writer.WriteEndObject();
    }

    internal override string Format(SourcePicture? value) => value is null ? "" : Line.Of($"{value}");

    private static string? Text(JsonElement json, string key) =>
        json.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
