using System.Text.Json;
using NablaGen.Attention;
using NablaGen.Files;

namespace NablaGen.Generation;

/// <summary>Reads the file of thresholds that an attention <c>nabla-FILE</c> names; <c>nablagen calibrate</c> writes it.</summary>
public static class ThresholdFile
{
    internal const string Format = "nablagen-thresholds";
    internal const int FormatVersion = 1;

    /// <summary>Parses an attention expression as a user writes it, and reads the file that it may name.</summary>
    /// <param name="text">The expression.</param>
    /// <exception cref="InvalidRequestException">It is not one of the forms, a number is out of range, or there is no such file.</exception>
    /// <exception cref="NablaGenException">The file is no file of thresholds.</exception>
    public static AttentionExpression ParseExpression(string text) => AttentionExpression.Parse(text, path => File.Exists(path) ? Read(path) : null);

    /// <summary>Reads the thresholds in a file.</summary>
    /// <exception cref="NablaGenException">It cannot be read, is cut or is no file of thresholds, or a number is wrong; the line says which.</exception>
    public static HeadThresholds Read(string path) => Read<Contents>(path, file => (file.Layers, file.Heads, file.Thresholds)).Thresholds!;

    /// <summary>Reads as much of a file as a type holds.</summary>
    /// <param name="path">The file.</param>
    /// <param name="sizes">The numbers of layers and heads that the file states, and its thresholds.</param>
    /// <exception cref="NablaGenException">As for <see cref="Read(string)"/>.</exception>
    internal static T Read<T>(string path, Func<T, (int Layers, int Heads, HeadThresholds? Thresholds)> sizes)
    {
        using var document = JsonFile.Read(path);
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("format", out var format)
            || format.ValueKind != JsonValueKind.String || format.GetString() != Format)
        {
            throw new NablaGenException($"{path}: is not a file of thresholds: expected one that nablagen calibrate wrote");
        }

        var version = root.TryGetProperty("format_version", out var found) ? found.GetRawText() : "none";
        if (version != $"{FormatVersion}")
        {
            throw new NablaGenException($"{path}: \"format_version\": expected {FormatVersion}, which this NablaGen reads, found {Line.Of(version)}");
        }

        try
        {
            var read = root.Deserialize<T>(Recipe.Json)!;
            var (layers, heads, thresholds) = sizes(read);
            return thresholds is not null && (thresholds.Layers, thresholds.Heads) == (layers, heads)
                ? read
                : throw new NablaGenException($"{path}: says that it is for {layers} layers of {heads} heads, "
                    + $"and it has thresholds for {thresholds?.Layers ?? 0} layers of {thresholds?.Heads ?? 0}");
        }
        catch (JsonException error)
        {
            // What a converter refused says it best itself.
            throw new NablaGenException($"{path}: {Line.Of((error.InnerException as NablaGenException ?? (Exception)error).Message)}", error);
        }
    }

    /// <summary>What the attention needs of the file.</summary>
    private sealed record Contents
    {
        public required int Layers { get; init; }

        public required int Heads { get; init; }

        public required HeadThresholds Thresholds { get; init; }
    }
}
