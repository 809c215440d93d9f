using NablaGen.Files;
using NablaGen.Generation.Fields;

namespace NablaGen.Jobs.Batch;

/// <summary>The keys and values of one row, as text; errors say where the row is.</summary>
internal sealed class RowValues(string where, RequestFieldTable table)
{
    // Options of generate that cannot differ from row to row.
    private static readonly string[] SharedKeys = ["model", "device", "dtype", "output", "latents"];

    private static bool IsShared(string key) => SharedKeys.Contains(key.Trim().ToLowerInvariant());

    private readonly Dictionary<RequestField, string> _values = [];

    /// <summary>The field of a key in any spelling: <c>Negative_Prompt</c> is <c>negative-prompt</c>.</summary>
    /// <exception cref="InvalidRequestException">There is no such field, or rows cannot have it.</exception>
    public static RequestField Field(string key, string where, RequestFieldTable table)
    {
        if (table.Find(key, FieldPlaces.Row) is { } field)
        {
            return field;
        }

        throw new InvalidRequestException(IsShared(key)
            ? $"{where}: {Line.Key(key)} is the same for all rows, and belongs to the command line"
            : $"{where}: unknown key {Line.Key(key)}: use {string.Join(", ", table.In(FieldPlaces.Row))}");
    }

    /// <summary>Whether a word is such a key, of a row or of the command line.</summary>
    public static bool IsKey(string word, RequestFieldTable table) =>
        table.Find(word, FieldPlaces.Row) is not null || IsShared(word);

    /// <summary>Takes a value.</summary>
    /// <exception cref="InvalidRequestException">The key is unknown, or comes twice.</exception>
    public void Add(string key, string value)
    {
        if (!_values.TryAdd(Field(key, where, table), value))
        {
            throw new InvalidRequestException($"{where}: the key {Line.Key(key)} comes twice");
        }
    }

    /// <summary>The row.</summary>
    /// <exception cref="InvalidRequestException">A value is wrong.</exception>
    public PromptRow ToRow() => string.IsNullOrWhiteSpace(_values.GetValueOrDefault(RequestFields.Prompt))
        ? throw new InvalidRequestException($"{where}: the prompt is empty")
        : new PromptRow(where, table.Read(_values, FieldSource.Row(where)));
}
