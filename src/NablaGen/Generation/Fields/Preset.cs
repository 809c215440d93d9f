using System.Text.Json;
using NablaGen.Files;

namespace NablaGen.Generation.Fields;

/// <summary>A named set of field values.</summary>
/// <param name="Name">The name.</param>
/// <param name="Values">What it says.</param>
public sealed record Preset(string Name, PartialRequest Values)
{
    /// <summary>Reads a file of presets: an object of objects, such as <c>{"fast": {"steps": 8, "threshold": 0.6}}</c>.</summary>
    /// <param name="path">The file.</param>
    /// <param name="table">The fields; null for NablaGen's.</param>
    /// <returns>The presets, in the file's order.</returns>
    /// <exception cref="NablaGenException">It cannot be read, a key is unknown, or a value is wrong.</exception>
    public static IReadOnlyList<Preset> ReadFile(string path, RequestFieldTable? table = null)
    {
        using var document = JsonFile.Read(path);
        var presets = new JsonFields(document.RootElement, path);
        return [.. presets.TakeAll().Select(preset => Read(preset.Key, new JsonFields(preset.Value, path, preset.Key).TakeAll(), path, table))];
    }

    /// <summary>Reads one preset.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="values">Its keys and values.</param>
    /// <param name="path">The file it is from, for messages.</param>
    /// <param name="table">The fields; null for NablaGen's.</param>
    /// <exception cref="NablaGenException">A key is unknown, or a value is wrong.</exception>
    public static Preset Read(string name, IEnumerable<KeyValuePair<string, JsonElement>> values, string path, RequestFieldTable? table = null) =>
        new(name, (table ?? RequestFields.Table).Read(values, FieldSource.Preset(path, name)));
}
