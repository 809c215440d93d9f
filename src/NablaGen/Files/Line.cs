using System.Text;

namespace NablaGen.Files;

/// <summary>Builds the single line of an error message from things found in files.</summary>
internal static class Line
{
    private const int LongestKey = 120;
    private const int MostSides = 8;

    /// <summary>The most characters of a line: a path of the system's longest and something said of it.</summary>
    public const int Longest = 5000;

    /// <summary>
    /// The text as one line that a terminal shows and does not obey: control characters and those that turn the direction of writing become
    /// spaces, and what is absurdly long loses its middle.
    /// </summary>
    /// <param name="text">Any text.</param>
    /// <param name="longest">The most characters to keep.</param>
    public static string Of(string text, int longest = Longest)
    {
        if (text.Length > longest)
        {
            var half = longest / 2;
            var (head, tail) = (half - (char.IsHighSurrogate(text[half - 1]) ? 1 : 0), half - (char.IsLowSurrogate(text[^half]) ? 1 : 0));
            text = $"{text[..head]} … {text[^tail..]}";
        }

        var line = new StringBuilder(text.Length);
        foreach (var c in text)
        {
            line.Append(IsOrder(c) ? ' ' : c);
        }

        return line.ToString().TrimEnd();
    }

    /// <summary>Whether a terminal may do something at a character instead of showing it.</summary>
    public static bool IsOrder(char c) =>
        char.IsControl(c) || c is '\u2028' or '\u2029' or (>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069');

    /// <summary>A key in quotes, on one line, shortened if it is absurdly long.</summary>
    public static string Key(string key) => $"\"{Of(key.Length <= LongestKey ? key : key[..LongestKey] + "…")}\"";

    /// <summary>" and N more", or nothing for none.</summary>
    public static string More(int count) => count == 0 ? "" : $" and {count} more";

    /// <summary>A shape as <c>[2, 3]</c>; of one with absurdly many sides, the first.</summary>
    public static string Shape(IEnumerable<long> shape)
    {
        var sides = shape.Take(MostSides + 1).ToList();
        return sides.Count <= MostSides ? $"[{string.Join(", ", sides.Select(side => $"{side}"))}]" : $"[{string.Join(", ", sides.Take(MostSides).Select(side => $"{side}"))}, …]";
    }
}
