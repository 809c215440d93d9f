using System.Globalization;
using System.Text;
using System.Text.Json;

namespace NablaGen.Jobs.Batch;

/// <summary>What rank 0 tells the others: the prompt file once, then row after row, then that there are no more.</summary>
internal static class RowCall
{
    /// <summary>There are no more rows.</summary>
    public static byte[] End => [];

    /// <summary>The prompt file, as it was read.</summary>
    public static byte[] Prompts(PromptSource prompts) => JsonSerializer.SerializeToUtf8Bytes(prompts);

    /// <summary>The prompt file again.</summary>
    public static PromptSource Prompts(byte[] told) => JsonSerializer.Deserialize<PromptSource>(told)!;

    /// <summary>A row to make.</summary>
    public static byte[] Of(BatchRow row) => Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{row.Number}\n{row.Request}"));

    /// <summary>The row that rank 0 means; null where there are no more.</summary>
    /// <param name="told">What it told.</param>
    /// <param name="rows">The rows as this rank knows them.</param>
    /// <exception cref="NablaGenException">This rank knows the row as another.</exception>
    public static BatchRow? Row(byte[] told, IReadOnlyList<BatchRow> rows)
    {
        if (told.Length == 0)
        {
            return null;
        }

        var text = Encoding.UTF8.GetString(told);
        var number = int.Parse(text.AsSpan(0, text.IndexOf('\n', StringComparison.Ordinal)), NumberStyles.None, CultureInfo.InvariantCulture);
        return number <= rows.Count && Of(rows[number - 1]).AsSpan().SequenceEqual(told)
            ? rows[number - 1]
            : throw new NablaGenException($"row {number.ToString(CultureInfo.InvariantCulture)} is another here than at rank 0: was a preset or the model's folder changed meanwhile?");
    }
}
