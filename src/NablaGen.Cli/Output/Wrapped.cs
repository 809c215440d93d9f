using System.Text;
using Spectre.Console;

namespace NablaGen.Cli.Output;

/// <summary>Lines that end at a word where the terminal ends; on a pipe they are left whole.</summary>
internal static class Wrapped
{
    private const int Narrowest = 40;

    private static int Width => Math.Max(Narrowest, Terminal.Columns);

    /// <summary>Prints a text behind a name; its further lines stand below its first.</summary>
    public static void Write(string name, string text) =>
        Console.WriteLine(name + (Terminal.IsRedirected ? text : Text(text, name.Length, Width)));

    /// <summary>
    /// Prints a text above the bars on the screen, a line at a time: behind the second line of a longer one Spectre leaves what the bars had
    /// there.
    /// </summary>
    public static void WriteAboveBars(string text)
    {
        // Spectre's own writing goes to the terminal as it is.
        foreach (var line in Text(PlainWriter.Plain(text), 0, Width).Split(Environment.NewLine))
        {
            foreach (var part in line.Chunk(Width))
            {
                AnsiConsole.WriteLine(new string(part));
            }
        }
    }

    /// <summary>Wraps a text.</summary>
    /// <param name="text">The text; words longer than a line are left whole.</param>
    /// <param name="indent">Columns that are taken at the left of each line, the first's by what stands there.</param>
    /// <param name="width">Columns of the terminal.</param>
    public static string Text(string text, int indent, int width)
    {
        var lines = new StringBuilder();
        var column = indent;
        foreach (var word in text.Split(' '))
        {
            if (column > indent && column + 1 + word.Length > width)
            {
                lines.AppendLine().Append(' ', indent);
                column = indent;
            }
            else if (lines.Length > 0)
            {
                lines.Append(' ');
                column++;
            }

            lines.Append(word);
            column += word.Length;
        }

        return lines.ToString();
    }
}
