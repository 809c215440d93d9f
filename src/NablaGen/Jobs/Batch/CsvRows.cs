using System.Globalization;
using System.Text.RegularExpressions;
using CsvHelper;
using CsvHelper.Configuration;
using NablaGen.Files;
using NablaGen.Generation.Fields;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// Reads rows of CSV: RFC 4180, the first record is the header, an empty cell says nothing. The header tells what stands between cells: a
/// comma, or as spreadsheets write it where the comma is for decimals, a semicolon; a number may have that comma then.
/// </summary>
internal static partial class CsvRows
{
    private static readonly string[] Delimiters = [",", ";", "\t"];

    // Those are text, whatever they look like.
    private static readonly RequestField[] Texts = [RequestFields.Prompt, RequestFields.NegativePrompt, RequestFields.Attention, RequestFields.Solver, .. PieceFields.All];

    /// <summary>Whether text begins with a header: its first line consists of keys, and one is <c>prompt</c>.</summary>
    public static bool HasHeader(string text, RequestFieldTable table) => DelimiterOf(text, table) is not null;

    public static void Read(string text, string name, RowCollector rows, RequestFieldTable table)
    {
        var delimiter = DelimiterOf(text, table) ?? ",";
        using var reader = new StringReader(text);
        using var csv = new CsvParser(reader, Format(delimiter));
        RequestField?[]? fields = null;
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
                fields = Header(csv.Record!, where, delimiter, table);
            }
            else
            {
                var cells = csv.Record!;
                rows.Add(() => Row(fields, cells, where, delimiter, table));
            }
        }
    }

    // Null for a column without a name, which spreadsheets leave at the right of a table: nothing may be in it.
    private static RequestField?[] Header(string[] cells, string where, string delimiter, RequestFieldTable table)
    {
        if (cells is [var only] && Delimiters.Concat(["|"]).FirstOrDefault(other => other != delimiter && only.Contains(other)) is { } wrong)
        {
            throw new InvalidRequestException($"{where}: expected a header such as prompt,seed with commas (or semicolons, or tabs) between the columns, found {Line.Key(only)}"
                + (wrong == "|" ? ", which has |" : ""));
        }

        var fields = cells.Select(cell => cell.Trim().Length == 0 ? null : RowValues.Field(cell, where, table)).ToArray();
        if (fields.OfType<RequestField>().GroupBy(field => field).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new InvalidRequestException($"{where}: the column {Line.Key(twice.Key.Name)} comes twice");
        }

        return fields.Contains(RequestFields.Prompt) ? fields : throw new InvalidRequestException($"{where}: the header has no column \"prompt\"");
    }

    private static PromptRow Row(RequestField?[] fields, string[] cells, string where, string delimiter, RequestFieldTable table)
    {
        if (cells.Length != fields.Length)
        {
            var between = delimiter switch { ";" => "semicolon", "\t" => "tab", _ => "comma" };
            throw new InvalidRequestException(
                $"{where}: expected {fields.Length} cells as in the header, found {cells.Length} (a cell with a {between} belongs in \"quotes\")");
        }

        var values = new RowValues(where, table);
        for (var i = 0; i < cells.Length; i++)
        {
            if (cells[i].Length == 0)
            {
                continue;
            }

            var field = fields[i] ?? throw new InvalidRequestException($"{where}: {Line.Key(cells[i])} is in column {i + 1}, which has no name in the header");
            var isDecimal = delimiter != "," && !Texts.Contains(field) && DecimalComma().IsMatch(cells[i]);
            values.Add(field.Name, isDecimal ? cells[i].Replace(',', '.') : cells[i]);
        }

        return values.ToRow();
    }

    private static CsvConfiguration Format(string delimiter) => new(CultureInfo.InvariantCulture)
    {
        Mode = CsvMode.RFC4180,
        Delimiter = delimiter,
        IgnoreBlankLines = false,
        BadDataFound = null,
    };

    // Null where the first line is no header by any of them.
    private static string? DelimiterOf(string text, RequestFieldTable table)
    {
        using var reader = new StringReader(text);
        string? header;
        do
        {
            header = reader.ReadLine();
        }
        while (header is not null && string.IsNullOrWhiteSpace(header));
        return header is null ? null : Delimiters.FirstOrDefault(delimiter =>
        {
            var keys = header.Split(delimiter).Select(cell => cell.Trim().Trim('"').Trim()).Where(cell => cell.Length > 0).ToList();
            return keys.Exists(key => key.Equals("prompt", StringComparison.OrdinalIgnoreCase)) && keys.TrueForAll(key => RowValues.IsKey(key, table));
        });
    }

    // In RFC 4180 quotes come in pairs; one too many would swallow the rows behind it.
    private static void CheckQuotes(string record, string where)
    {
        if (record.Count(c => c == '"') % 2 != 0)
        {
            throw new InvalidRequestException($"{where}: a quote is opened and not closed");
        }
    }
    [GeneratedRegex(@"^\s*-?\d+,\d+\s*$")]
    private static partial Regex DecimalComma();
}
