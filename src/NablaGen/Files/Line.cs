using System.Text;

namespace NablaGen.Files;

/// <summary>Builds the single line of an error message from things found in files.</summary>
internal static class Line
{
    private const int LongestKey = 120;

    /// <summary>The text as one line: control characters become spaces.</summary>
    public static string Of(string text)
    {
        var line = new StringBuilder(text.Length);
        foreach (var c in text)
        {
            line.Append(char.IsControl(c) || c is '\u2028' or '\u2029' ? ' ' : c);
        }

        return line.ToString().TrimEnd();
    }

    /// <summary>A key in quotes, on one line, shortened if it is absurdly long.</summary>
    public static string Key(string key) => $"\"{Of(key.Length <= LongestKey ? key : key[..LongestKey] + "…")}\"";

    /// <summary>" and N more", or nothing for none.</summary>
    public static string More(int count) => count == 0 ? "" : $" and {count} more";

    /// <summary>A shape as <c>[2, 3]</c>.</summary>
    public static string Shape(IEnumerable<long> shape) => $"[{string.Join(", ", shape.Select(side => $"{side}"))}]";
}
