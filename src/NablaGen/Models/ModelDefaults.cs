using System.Text.Json;

namespace NablaGen.Models;

/// <summary>
/// What a generation by a model uses where the user says nothing, as names and JSON values. Which names there are and what their values
/// mean is the request's to know; a model only hands them on. Equal where names and values are.
/// </summary>
public sealed class ModelDefaults : IEquatable<ModelDefaults>
{
    private readonly OrderedDictionary<string, JsonElement> _values;

    /// <summary>Values as they were read.</summary>
    /// <param name="values">The names and values; each name once.</param>
    /// <param name="path">The file they are from, for messages and for paths beside it; null for none.</param>
    public ModelDefaults(IEnumerable<KeyValuePair<string, JsonElement>> values, string? path = null)
    {
        // A value must outlive the document that it was read from.
        _values = new OrderedDictionary<string, JsonElement>(values.Select(value => KeyValuePair.Create(value.Key, value.Value.Clone())), StringComparer.Ordinal);
        Path = path;
    }

    /// <summary>The file they are from; null for none.</summary>
    public string? Path { get; }

    /// <summary>The names and values, in order.</summary>
    public IEnumerable<KeyValuePair<string, JsonElement>> Values => _values;

    /// <summary>The value of a name; null where there is none.</summary>
    public JsonElement? Find(string name) => _values.TryGetValue(name, out var value) ? value : null;

    /// <summary>The same with other values of some names.</summary>
    /// <param name="values">Names, and values that JSON can say.</param>
    public ModelDefaults With(params IEnumerable<(string Name, object Value)> values) =>
        new ModelDefaults(values.Select(value => KeyValuePair.Create(value.Name, JsonSerializer.SerializeToElement(value.Value))), Path).Over(this);

    /// <summary>The same without a name.</summary>
    public ModelDefaults Without(string name) => new(_values.Where(value => value.Key != name), Path);

    /// <summary>These, and others where these say nothing, in the others' order.</summary>
    public ModelDefaults Over(ModelDefaults others) => new(
        others._values.Select(other => KeyValuePair.Create(other.Key, Find(other.Key) ?? other.Value))
            .Concat(_values.Where(value => others.Find(value.Key) is null)),
        Path);

    /// <inheritdoc/>
    public bool Equals(ModelDefaults? other) => other is not null && _values.Count == other._values.Count
        && _values.All(value => other.Find(value.Key) is { } found && JsonElement.DeepEquals(value.Value, found));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as ModelDefaults);

    /// <inheritdoc/>
    public override int GetHashCode() => _values.Keys.Aggregate(0, (hash, name) => hash ^ name.GetHashCode(StringComparison.Ordinal));

    /// <summary>The values as JSON.</summary>
    public override string ToString() => JsonSerializer.Serialize(_values);
}
