using System.Text.Json;
using NablaGen.Files;

namespace NablaGen.Weights;

/// <summary>
/// ComfyUI's JSON about a layer's number format: a <c>comfy_quant</c> tensor of one layer, or <c>_quantization_metadata</c> in a file's notes with
/// one for each. Whatever it says beyond what a scaled weight is read by is an error.
/// </summary>
internal static class QuantizationNote
{
    private const string MetadataKey = "_quantization_metadata";

    // Names of formats, and the types of their weights.
    private static readonly Dictionary<string, StoredType> Formats = new(StringComparer.Ordinal)
    {
        ["float8_e4m3fn"] = StoredType.F8_E4M3,
        ["float8_e5m2"] = StoredType.F8_E5M2,
        ["int8_tensorwise"] = StoredType.I8,
    };

    // How to multiply, which is ours to choose.
    private static readonly string[] Harmless = ["format", "full_precision_matrix_mult", "per_row"];

    /// <summary>The type that a layer's weight must have.</summary>
    /// <param name="json">The note.</param>
    /// <param name="file">The file, for messages.</param>
    /// <param name="where">The tensor or layer that it is about, for messages.</param>
    /// <exception cref="NablaGenException">It names a number format or a detail that can't be read.</exception>
    public static StoredType Parse(JsonElement json, string file, string where)
    {
        if (json.ValueKind != JsonValueKind.Object)
        {
            throw Bad(file, where, $"expected an object with a \"format\", found {JsonKinds.Name(json.ValueKind)}");
        }

        foreach (var item in json.EnumerateObject())
        {
            if (!Harmless.Contains(item.Name) && item.Value.ValueKind is not (JsonValueKind.False or JsonValueKind.Null))
            {
                throw Bad(file, where, $"{Line.Key(item.Name)} is part of a number format that NablaGen can't read; {ScaleKeys.Readable}");
            }
        }

        var format = json.TryGetProperty("format", out var name) && name.ValueKind == JsonValueKind.String ? name.GetString()! : "";
        return Formats.TryGetValue(format, out var type)
            ? type
            : throw Bad(file, where, $"the number format {Line.Key(format)} can't be read: expected {string.Join(", ", Formats.Keys)}, or bf16, fp16 or GGUF");
    }

    /// <summary>The layers that a file's notes speak of and the types that their weights must have; empty where they say nothing.</summary>
    /// <exception cref="NablaGenException">They are not JSON of that form, or name a number format that can't be read.</exception>
    public static IReadOnlyDictionary<string, StoredType> OfFile(ITensorSource source)
    {
        var layers = new Dictionary<string, StoredType>(StringComparer.Ordinal);
        if (!source.Metadata.TryGetValue(MetadataKey, out var text))
        {
            return layers;
        }

        using var document = JsonFile.Parse(System.Text.Encoding.UTF8.GetBytes(text), source.Path, $"{MetadataKey} ");
        if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("layers", out var all)
            || all.ValueKind != JsonValueKind.Object)
        {
            throw Bad(source.Path, $"\"{MetadataKey}\"", "expected an object with \"layers\"");
        }

        foreach (var layer in all.EnumerateObject())
        {
            layers[layer.Name] = Parse(layer.Value, source.Path, $"\"{MetadataKey}\", layer {Line.Key(layer.Name)}");
        }

        return layers;
    }

    private static NablaGenException Bad(string file, string where, string what) => new(Line.Of($"{file}: {where}: {what}."));
}
