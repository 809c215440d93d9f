using System.Text.Json;

namespace NablaGen.Generation.Fields;

/// <summary>The fields of a request, in the help's order, and how a set of their values is read from each place. <see cref="RequestFields.Table"/> is NablaGen's.</summary>
public sealed class RequestFieldTable
{
    private readonly RequestField[] _fields;

    /// <summary>A table.</summary>
    /// <param name="fields">The fields.</param>
    /// <exception cref="ArgumentException">Two have the same name.</exception>
    public RequestFieldTable(IEnumerable<RequestField> fields)
    {
        _fields = [.. fields];
        if (_fields.SelectMany(field => field.Aliases.Append(field.Option)).GroupBy(name => name).FirstOrDefault(names => names.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"two fields are called {twice.Key}", nameof(fields));
        }
    }

    /// <summary>The fields, in the help's order.</summary>
    public IReadOnlyList<RequestField> Fields => _fields;

    /// <summary>The table with one more field, at its end.</summary>
    public RequestFieldTable With(RequestField field) => new([.. _fields, field]);

    /// <summary>The fields that may be written in a place.</summary>
    public IEnumerable<RequestField> In(FieldPlaces place) => _fields.Where(field => field.IsIn(place));

    /// <summary>The field of a name in any spelling (<c>Dense Steps</c>, <c>dense_steps</c>), if it may be written in a place; null where there is none.</summary>
    public RequestField? Find(string name, FieldPlaces place)
    {
        var plain = name.Trim().ToLowerInvariant().Replace('_', '-').Replace(' ', '-');
        return In(place).FirstOrDefault(field => field.Name == plain);
    }

    /// <summary>Reads what a command line or a row says.</summary>
    /// <param name="texts">The values as text.</param>
    /// <param name="source">Where they are from.</param>
    /// <exception cref="NablaGenException">A value is wrong, or two contradict each other; the line says where.</exception>
    public PartialRequest Read(IEnumerable<KeyValuePair<RequestField, string>> texts, FieldSource source)
    {
        var values = FieldValues.Empty;
        foreach (var (field, text) in texts)
        {
            if (!_fields.Contains(field))
            {
                throw new ArgumentException($"the table has no {field}", nameof(texts));
            }

            var value = field.Parse(text, source);
            values = values.Set(field, field.IsRepeatable && values.Find(field) is { } before ? field.Joined(before, value) : value);
        }

        return Joined(values, source);
    }

    /// <summary>Reads a JSON object's keys and values.</summary>
    /// <param name="json">The keys and values.</param>
    /// <param name="source">Where they are from.</param>
    /// <exception cref="NablaGenException">A key is unknown, a value is wrong, or two contradict each other; the line says where.</exception>
    public PartialRequest Read(IEnumerable<KeyValuePair<string, JsonElement>> json, FieldSource source)
    {
        var values = FieldValues.Empty;
        foreach (var (key, value) in json)
        {
            var field = FindKey(key, source);
            values = values.Set(field, field.Read(value, source));
        }

        return Joined(values, source);
    }

    internal RequestField FindKey(string key, FieldSource source) =>
        In(source.Place).FirstOrDefault(field => field.Key == key) ?? throw source.Unknown(key, In(source.Place));

    // A recipe has keys of its own beside the fields', and those that a newer version has written.
    internal FieldValues ReadRecipe(JsonElement recipe, FieldSource source)
    {
        var values = FieldValues.Empty;
        foreach (var field in In(FieldPlaces.Recipe))
        {
            var isThere = recipe.TryGetProperty(field.Key, out var value);
            if (isThere && (field.IsInEveryRecipe || value.ValueKind != JsonValueKind.Null))
            {
                values = values.Set(field, field.ReadRecipe(recipe, source));
            }
            else if (field.IsInEveryRecipe)
            {
                throw source.Missing(field.Key);
            }
        }

        return values;
    }

    private static PartialRequest Joined(FieldValues values, FieldSource source)
    {
        try
        {
            return new PartialRequest { Values = FieldRules.JoinThreshold(values) };
        }
        catch (InvalidRequestException error)
        {
            throw source.Wrapped(RequestFields.Threshold, error);
        }
    }
}
