using System.Text;
using System.Text.Json;

namespace NablaGen.Files;

/// <summary>Reads the small JSON files of a checkpoint.</summary>
internal static class JsonFile
{
    private const long LongestFile = 100_000_000;

    // The parser repeats what it could not read.
    private const int LongestReason = 300;

    /// <summary>Parses a file.</summary>
    /// <exception cref="NablaGenException">It does not exist, can't be read, or is not JSON.</exception>
    public static JsonDocument Read(string path)
    {
        using var file = MappedFile.Open(path);
        if (file.Length > LongestFile)
        {
            throw new NablaGenException($"{path}: is too large for a JSON file of a model: expected at most {LongestFile} bytes, found {file.Length}.");
        }

        var bytes = new byte[file.Length];
        file.Read(0, bytes);
        try
        {
            return Parse(bytes, path);
        }
        catch (NablaGenException e) when (FileKind.Describe(path) is { Is: not "JSON text" } found)
        {
            throw new NablaGenException($"{path}: is not JSON: it is {found.Is}{found.Advice}.", e);
        }
    }

    /// <summary>Parses text; the other two are for the message: the file, and what of it this is.</summary>
    /// <exception cref="NablaGenException">It is not JSON.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> json, string path, string part = "")
    {
        try
        {
            _ = new UTF8Encoding(false, throwOnInvalidBytes: true).GetCharCount(json.Span);
            // A byte order mark, as some editors on Windows write, is no part of JSON.
            var text = json.Span.StartsWith(Encoding.UTF8.Preamble) ? json[Encoding.UTF8.Preamble.Length..] : json;
            var document = JsonDocument.Parse(text);
            CheckStrings(document.RootElement);
            return document;
        }
        catch (Exception e) when (e is JsonException or DecoderFallbackException or InvalidOperationException)
        {
            throw new NablaGenException(Line.Of($"{path}: {part}is not JSON: {Line.Of(e.Message, LongestReason)}"), e);
        }
    }

    // A lone surrogate ("\ud800") passes the parser and throws when the string is taken; so take each one now.
    private static void CheckStrings(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in element.EnumerateObject())
                {
                    _ = property.Name;
                    CheckStrings(property.Value);
                }

                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray())
                {
                    CheckStrings(item);
                }

                break;
            case JsonValueKind.String:
                _ = element.GetString();
                break;
        }
    }
}
