using System.Collections.Immutable;

namespace NablaGen.Generation.Fields;

/// <summary>Values of some fields; a field that is not among them says nothing. Immutable; equal where all values are, lists by their numbers.</summary>
public sealed class FieldValues : IEquatable<FieldValues>
{
    private readonly ImmutableDictionary<RequestField, object> _values;

    private FieldValues(ImmutableDictionary<RequestField, object> values) => _values = values;

    /// <summary>No values.</summary>
    public static FieldValues Empty { get; } = new(ImmutableDictionary<RequestField, object>.Empty);

    /// <summary>The fields that say something.</summary>
    public IEnumerable<RequestField> Fields => _values.Keys;

    /// <summary>The value of a field; null where it says nothing.</summary>
    public T? Get<T>(TypedField<T> field) => _values.TryGetValue(field, out var value) ? (T)value : default;

    /// <inheritdoc cref="Get{T}(TypedField{T})"/>
    public object? Find(RequestField field) => _values.GetValueOrDefault(field);

    /// <summary>The same with another value of one field; null says nothing.</summary>
    public FieldValues With<T>(TypedField<T> field, T? value) => Set(field, value);

    // Removed first: an equal value would stay as it was, such as a picture that only a recipe names.
    /// <summary>These, and where they say nothing, others.</summary>
    public FieldValues Over(FieldValues other) => new(other._values.RemoveRange(_values.Keys).SetItems(_values));

    /// <inheritdoc/>
    public bool Equals(FieldValues? other) => other is not null && _values.Count == other._values.Count
        && _values.All(pair => other._values.TryGetValue(pair.Key, out var value) && AreEqual(pair.Value, value));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as FieldValues);

    /// <inheritdoc/>
    public override int GetHashCode() =>
        _values.Aggregate(0, (hash, pair) => hash ^ HashCode.Combine(pair.Key, pair.Value is IReadOnlyList<double> list ? list.Count : pair.Value.GetHashCode()));

    /// <summary>One line: "prompt "a red ball", seed 7, attention nabla-0.7".</summary>
    public override string ToString() => string.Join(", ", InOrder().Select(pair => $"{pair.Field.Label} {pair.Field.Format(pair.Value)}"));

    internal static bool AreEqual(object? a, object? b) =>
        Equals(a, b) || (a is IReadOnlyList<double> x && b is IReadOnlyList<double> y && x.SequenceEqual(y));

    internal FieldValues Set(RequestField field, object? value) => new(value is null ? _values.Remove(field) : _values.SetItem(field, value));

    // As a recipe has them.
    internal IEnumerable<(RequestField Field, object Value)> InOrder() => _values
        .OrderBy(pair => pair.Key.RecipeOrder).ThenBy(pair => pair.Key.Name, StringComparer.Ordinal).Select(pair => (pair.Key, pair.Value));

    /// <summary>Sees that each value is one that its field may have.</summary>
    /// <exception cref="InvalidRequestException">One is not; the line says which and what would do.</exception>
    internal void Check()
    {
        foreach (var (field, value) in InOrder())
        {
            field.Check(value);
        }
    }
}
