namespace NablaGen.Models.Wan.Text.Tokenizer;

/// <summary>The tables beside this file, which make_tables.py writes and the assembly carries.</summary>
internal static class EmbeddedTable
{
    /// <summary>A table's lines as fields, comments left out.</summary>
    public static IEnumerable<string[]> Rows(string name)
    {
        using var stream = typeof(EmbeddedTable).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"The assembly lacks its table {name}.");
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (!line.StartsWith('#'))
            {
                yield return line.Split(' ');
            }
        }
    }
}
