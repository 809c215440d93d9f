using System.Globalization;
using CsvHelper;
using CsvHelper.Configuration;
using NablaGen.Files;

namespace NablaGen.Jobs.Batch;

/// <summary>Reads rows of CSV: RFC 4180, the first record is the header, an empty cell says nothing.</summary>
internal static class CsvRows
{
    private static readonly CsvConfiguration Format = new(CultureInfo.InvariantCulture)
    {
        Mode = CsvMode.RFC4180,
        Delimiter = ",",
        IgnoreBlankLines = false,
        BadDataFound = null,
    };

    public static void Read(string text, string name, RowCollector rows)
    {
        using var reader = new StringReader(text);
        using var csv = new CsvParser(reader, Format);
        string[]? keys = null;
        for (var line = 1; csv.Read(); line = csv.RawRow + 1)
        {
            if (csv.Count == 0 || csv.Record!.All(string.IsNullOrWhiteSpace))
            {
                continue;
            }

            var where = $"{name}:{line}";
            CheckQuotes(csv.RawRecord, where);
            if (keys is null)
            {
                keys = Header(csv.Record!, where);
            }
            else
            {
                var cells = csv.Record!;
                rows.Add(() => Row(keys, cells, where));
            }
        }
    }

    private static string[] Header(string[] cells, string where)
    {
        var keys = cells.Select(cell => RowValues.Key(cell, where)).ToArray();
        if (keys.GroupBy(key => key).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new InvalidRequestException($"{where}: the column {Line.Key(twice.Key)} comes twice");
        }

        return keys.Contains("prompt") ? keys : throw new InvalidRequestException($"{where}: the header has no column \"prompt\"");
    }

    private static PromptRow Row(string[] keys, string[] cells, string where)
    {
        if (cells.Length != keys.Length)
        {
            throw new InvalidRequestException(
                $"{where}: expected {keys.Length} cells as in the header, found {cells.Length} (a cell with a comma belongs in \"quotes\")");
        }

        var values = new RowValues(where);
        foreach (var (key, cell) in keys.Zip(cells).Where(pair => pair.Second.Length > 0))
        {
            values.Add(key, cell);
        }

        return values.ToRow();
    }

    // In RFC 4180 quotes come in pairs; one too many would swallow the rows behind it.
    private static void CheckQuotes(string record, string where)
    {
        if (record.Count(c => c == '"') % 2 != 0)
        {
            throw new InvalidRequestException($"{where}: a quote is opened and not closed");
        }
    }
}
