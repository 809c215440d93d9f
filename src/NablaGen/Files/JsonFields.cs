using System.Text.Json;

namespace NablaGen.Files;

/// <summary>The fields of one JSON object, taken with their types checked; errors name the file, the field, expected and found.</summary>
internal sealed class JsonFields
{
    // No size of a model is larger (umT5's vocabulary is a quarter of it), and products of two fit where tensors' sizes are kept.
    private const int Most = 1 << 20;
    private const int MostInList = 1 << 10;

    private readonly string _path;
    private readonly string _prefix;
    private readonly Dictionary<string, JsonElement> _fields = new(StringComparer.Ordinal);
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);

    /// <param name="element">The object.</param>
    /// <param name="path">The file, for messages.</param>
    /// <param name="name">The object's own name in the file; empty for the outermost.</param>
    public JsonFields(JsonElement element, string path, string name = "")
    {
        _path = path;
        _prefix = name.Length == 0 ? "" : name + ".";
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new NablaGenException(
                $"{path}: {(name.Length == 0 ? "" : $"\"{name}\": ")}expected an object, found {JsonKinds.Name(element.ValueKind)}.");
        }

        foreach (var field in element.EnumerateObject())
        {
            if (!_fields.TryAdd(field.Name, field.Value))
            {
                throw new NablaGenException($"{path}: the key {Line.Key(_prefix + field.Name)} comes twice.");
            }
        }
    }

    /// <summary>A whole number from <paramref name="min"/> to <paramref name="max"/>; without a fallback it must be there.</summary>
    public int Int(string name, int? fallback = null, int min = 1, int max = Most) =>
        Take(name) is not { } value ? fallback ?? throw Missing(name)
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= min
            ? number <= max ? number : throw Wrong(name, $"at most {max}", value)
        : throw Wrong(name, $"a whole number from {min}", value);

    /// <summary>A finite number.</summary>
    public double Double(string name, double fallback) =>
        Take(name) is not { } value ? fallback : AsDouble(value) ?? throw Wrong(name, "a number", value);

    /// <summary>True or false.</summary>
    public bool Bool(string name, bool fallback) =>
        Take(name) is not { } value ? fallback : AsBool(value) ?? throw Wrong(name, "true or false", value);

    /// <summary>A string.</summary>
    public string? String(string name) =>
        Take(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString()
        : throw Wrong(name, "a string", value);

    /// <summary>Whether a field is there and null, as Python's libraries write what has no value.</summary>
    public bool IsNull(string name) => Take(name) is { ValueKind: JsonValueKind.Null };

    /// <summary>A list of whole numbers from <paramref name="min"/> to a thousand or so; null if it isn't there.</summary>
    public int[]? Ints(string name, int min = 1) => List<int>(
        name,
        $"a list of whole numbers from {min} to {MostInList}",
        item => item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var number) && number >= min && number <= MostInList ? number : null);

    /// <summary>A list of finite numbers; null if it isn't there.</summary>
    public float[]? Floats(string name) => List(name, "a list of numbers", item => (float?)AsDouble(item));

    /// <summary>A list of true and false; null if it isn't there.</summary>
    public bool[]? Bools(string name) => List(name, "a list of true and false", AsBool);

    /// <summary>A list of strings; null if it isn't there.</summary>
    public string[]? Strings(string name) => Take(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String ? item.GetString()! : throw Wrong(name, "a list of strings", item))]
            : throw Wrong(name, "a list of strings", value);

    /// <summary>An object inside; null if it isn't there.</summary>
    public JsonFields? Object(string name) => Take(name) is { } value ? new JsonFields(value, _path, _prefix + name) : null;

    /// <summary>Everything that no call has asked for, in the file's order, to be read elsewhere.</summary>
    public IReadOnlyList<KeyValuePair<string, JsonElement>> TakeAll()
    {
        KeyValuePair<string, JsonElement>[] others = [.. _fields.Where(field => _taken.Add(field.Key))];
        return others;
    }

    /// <summary>Refuses the file if it has a key that no call has asked for.</summary>
    public void RefuseOthers()
    {
        var other = _fields.Keys.FirstOrDefault(name => !_taken.Contains(name));
        if (other is not null)
        {
            var known = string.Join(", ", _taken.Order(StringComparer.Ordinal));
            throw new NablaGenException($"{_path}: unknown key {Line.Key(_prefix + other)}: expected one of {known}.");
        }
    }

    /// <summary>An error about one field.</summary>
    public NablaGenException Error(string name, string expected, string found) =>
        new($"{_path}: {Line.Key(_prefix + name)}: expected {expected}, found {found}.");

    private JsonElement? Take(string name)
    {
        _taken.Add(name);
        return _fields.TryGetValue(name, out var value) ? value : null;
    }

    private T[]? List<T>(string name, string expected, Func<JsonElement, T?> convert)
        where T : struct
    {
        if (Take(name) is not { } value)
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray().Select(item => convert(item) ?? throw Wrong(name, expected, item))]
            : throw Wrong(name, expected, value);
    }

    private static double? AsDouble(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number) ? number : null;

    private static bool? AsBool(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };

    private NablaGenException Missing(string name) => new($"{_path}: the key {Line.Key(_prefix + name)} is missing.");

    private NablaGenException Wrong(string name, string expected, JsonElement found)
    {
        var isPlain = found.ValueKind is JsonValueKind.Number or JsonValueKind.String;
        return Error(name, expected, isPlain ? Line.Key(found.GetRawText().Trim('"')) : JsonKinds.Name(found.ValueKind));
    }
}
