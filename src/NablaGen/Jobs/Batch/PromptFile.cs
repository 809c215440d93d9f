using System.Text;
using System.Text.Json;
using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Generation.Fields;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// Reads prompts: <c>.txt</c> (a prompt a line; blank lines and lines that begin with # are skipped), <c>.jsonl</c> (an object a line) or
/// <c>.csv</c> (RFC 4180, with a header; also with semicolons or tabs, as spreadsheets write them). The keys are generate's options. UTF-8, or
/// UTF-16 with its mark; any line ends.
/// </summary>
public static class PromptFile
{
    /// <summary>The name that means standard input, which is read as .jsonl if it begins with a brace, as .csv if its first line is a header, otherwise as .txt.</summary>
    public const string StandardInput = "-";

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file, or <see cref="StandardInput"/>.</param>
    /// <param name="table">The fields that rows have; null for NablaGen's.</param>
    /// <exception cref="NablaGenException">It cannot be read, is of another kind, or has no prompt.</exception>
    /// <exception cref="InvalidRequestException">A row is wrong; the message says where, and which others are.</exception>
    public static IReadOnlyList<PromptRow> Read(string path, RequestFieldTable? table = null) => Read(Open(path), table);

    /// <summary>Reads a file's contents alone.</summary>
    /// <param name="path">The file, or <see cref="StandardInput"/>.</param>
    /// <exception cref="NablaGenException">It cannot be read, or is of another kind.</exception>
    public static PromptSource Open(string path)
    {
        if (path == StandardInput)
        {
            using var input = Console.OpenStandardInput();
            return new PromptSource(WholeText.Read(input, "standard input"), "standard input", "");
        }

        var kind = Path.GetExtension(path).ToLowerInvariant();
        if (kind is not (".txt" or ".jsonl" or ".csv"))
        {
            throw new NablaGenException($"{path}: the name of a file of prompts must end in .txt, .jsonl or .csv");
        }

        return new PromptSource(WholeText.Read(path), path, kind);
    }

    /// <summary>Reads rows from a file's contents.</summary>
    /// <param name="source">The contents.</param>
    /// <param name="table">The fields that rows have; null for NablaGen's.</param>
    /// <inheritdoc cref="Read(string, RequestFieldTable?)"/>
    public static IReadOnlyList<PromptRow> Read(PromptSource source, RequestFieldTable? table = null) => Read(source.Bytes, source.Name, source.Kind, table);

    /// <summary>Reads the contents of a file.</summary>
    /// <param name="bytes">The contents.</param>
    /// <param name="name">The file's name, for messages.</param>
    /// <param name="kind"><c>.txt</c>, <c>.jsonl</c> or <c>.csv</c>; empty to tell them apart by how they begin.</param>
    /// <param name="table">The fields that rows have; null for NablaGen's.</param>
    /// <inheritdoc cref="Read(string, RequestFieldTable?)"/>
    public static IReadOnlyList<PromptRow> Read(byte[] bytes, string name, string kind, RequestFieldTable? table = null)
    {
        table ??= RequestFields.Table;
        var text = PromptText.Decode(bytes, name);
        var rows = new RowCollector();
        switch (kind)
        {
            case "" when CsvRows.HasHeader(text, table):
            case ".csv":
                CsvRows.Read(text, name, rows, table);
                break;
            case "" when text.TrimStart().StartsWith('{'):
            case ".jsonl":
                ReadLines(text, name, rows, (line, where) => JsonRow(line, where, table));
                break;
            default:
                ReadLines(text, name, rows, TextRow);
                break;
        }

        return rows.Finish() is { Count: > 0 } read ? read : throw new NablaGenException($"{name}: no prompts in it");
    }

    private static void ReadLines(string text, string name, RowCollector rows, Func<string, string, PromptRow?> read)
    {
        using var lines = new StringReader(text);
        for (var number = 1; lines.ReadLine() is { } line; number++)
        {
            if (!string.IsNullOrWhiteSpace(line))
            {
                rows.Add(() => read(line.Trim(), $"{name}:{number}"));
            }
        }
    }

    private static PromptRow? TextRow(string line, string where)
    {
        if (line.StartsWith('#'))
        {
            return null;
        }

        ForeignFlags.Refuse(line, where);
        return new PromptRow(where, new PartialRequest { Prompt = line });
    }

    private static PromptRow JsonRow(string line, string where, RequestFieldTable table)
    {
        using var document = Parse(line, where);
        var kind = document.RootElement.ValueKind;
        if (kind != JsonValueKind.Object)
        {
            throw new InvalidRequestException($"{where}: expected an object such as {{\"prompt\": \"a red ball\"}}, found {JsonKinds.Name(kind)}");
        }

        var values = new RowValues(where, table);
        foreach (var field in document.RootElement.EnumerateObject())
        {
            switch (field.Value.ValueKind)
            {
                case JsonValueKind.String:
                    values.Add(field.Name, field.Value.GetString()!);
                    break;
                case JsonValueKind.Number:
                    values.Add(field.Name, field.Value.GetRawText());
                    break;
                case JsonValueKind.Null:
                    _ = RowValues.Field(field.Name, where, table);
                    break;
                default:
                    throw new InvalidRequestException(
                        $"{where}: {RowValues.Field(field.Name, where, table)}: expected a string or a number, found {JsonKinds.Name(field.Value.ValueKind)}");
            }
        }

        return values.ToRow();
    }

    private static JsonDocument Parse(string line, string where)
    {
        try
        {
            return JsonFile.Parse(Encoding.UTF8.GetBytes(line), where);
        }
        catch (NablaGenException error)
        {
            // It is a single line: of what System.Text.Json says, the line and the byte in it tell nothing.
            throw new InvalidRequestException(error.Message.Split(" LineNumber:")[0]);
        }
    }
}

/// <summary>What a prompt file holds.</summary>
/// <param name="Bytes">Its contents.</param>
/// <param name="Name">Its name, for messages.</param>
/// <param name="Kind"><c>.txt</c>, <c>.jsonl</c> or <c>.csv</c>; empty to tell them apart by how they begin.</param>
public sealed record PromptSource(byte[] Bytes, string Name, string Kind)
{
    /// <summary>The name and how long it is.</summary>
    public override string ToString() => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{Name}, {Bytes.Length} bytes");
}
