using System.Text;

namespace NablaGen.Cli.Output;

/// <summary>Lines that end at a word where the terminal ends; on a pipe they are left whole.</summary>
internal static class Wrapped
{
    private const int Narrowest = 40;

    /// <summary>Prints a text behind a name; its further lines stand below its first.</summary>
    public static void Write(string name, string text) =>
        Console.WriteLine(name + (Console.IsOutputRedirected ? text : Text(text, name.Length, Math.Max(Narrowest, Console.WindowWidth))));

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
