using System.Globalization;
using CsvHelper;
using CsvHelper.Configuration;
using NablaGen.Files;
using NablaGen.Generation.Fields;

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

    public static void Read(string text, string name, RowCollector rows, RequestFieldTable table)
    {
        using var reader = new StringReader(text);
        using var csv = new CsvParser(reader, Format);
        RequestField[]? fields = null;
        for (var line = 1; csv.Read(); line = csv.RawRow + 1)
        {
            if (csv.Count == 0 || csv.Record!.All(string.IsNullOrWhiteSpace))
            {
                continue;
            }

            var where = $"{name}:{line}";
            CheckQuotes(csv.RawRecord, where);
            if (fields is null)
            {
                fields = Header(csv.Record!, where, table);
            }
            else
            {
                var cells = csv.Record!;
                rows.Add(() => Row(fields, cells, where, table));
            }
        }
    }

    private static RequestField[] Header(string[] cells, string where, RequestFieldTable table)
    {
        var fields = cells.Select(cell => RowValues.Field(cell, where, table)).ToArray();
        if (fields.GroupBy(field => field).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new InvalidRequestException($"{where}: the column {Line.Key(twice.Key.Name)} comes twice");
        }

        return fields.Contains(RequestFields.Prompt) ? fields : throw new InvalidRequestException($"{where}: the header has no column \"prompt\"");
    }

    private static PromptRow Row(RequestField[] fields, string[] cells, string where, RequestFieldTable table)
    {
        if (cells.Length != fields.Length)
        {
            throw new InvalidRequestException(
                $"{where}: expected {fields.Length} cells as in the header, found {cells.Length} (a cell with a comma belongs in \"quotes\")");
        }

        var values = new RowValues(where, table);
        foreach (var (field, cell) in fields.Zip(cells).Where(pair => pair.Second.Length > 0))
        {
            values.Add(field.Name, cell);
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
