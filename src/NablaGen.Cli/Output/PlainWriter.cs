using System.Text;
using NablaGen.Files;

namespace NablaGen.Cli.Output;

/// <summary>Lets text through and no orders to a terminal: what comes from a stranger's file is shown and does nothing.</summary>
internal sealed class PlainWriter(TextWriter inner) : TextWriter
{
    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => inner.Write(IsOrder(value) ? ' ' : value);

    public override void Write(string? value) => inner.Write(Plain(value ?? ""));

    public override void Write(char[] buffer, int index, int count) => inner.Write(Plain(new string(buffer, index, count)));

    public override void Write(ReadOnlySpan<char> buffer) => inner.Write(Plain(buffer.ToString()));

    public override void WriteLine() => inner.WriteLine();

    public override void WriteLine(string? value) => inner.WriteLine(Plain(value ?? ""));

    public override void Flush() => inner.Flush();

    /// <summary>The text with spaces for orders; lines and tabs stay.</summary>
    public static string Plain(string text)
    {
        var first = 0;
        while (first < text.Length && !IsOrder(text, first))
        {
            first++;
        }

        if (first == text.Length)
        {
            return text;
        }

        var plain = new StringBuilder(text, 0, first, text.Length);
        for (var i = first; i < text.Length; i++)
        {
            plain.Append(IsOrder(text, i) ? ' ' : text[i]);
        }

        return plain.ToString();
    }

    private static bool IsOrder(char c) => c is not ('\n' or '\t') && Line.IsOrder(c);

    // A carriage return on its own would write over the line.
    private static bool IsOrder(string text, int at) => text[at] == '\r' ? at + 1 == text.Length || text[at + 1] != '\n' : IsOrder(text[at]);
}
