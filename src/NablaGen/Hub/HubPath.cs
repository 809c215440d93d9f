using NablaGen.Files;

namespace NablaGen.Hub;

/// <summary>
/// Paths that a hub names. They come from a stranger and become paths on this machine, so they are taken only in the plainest form: whatever could
/// lead out of the folder, on any system, is refused.
/// </summary>
internal static class HubPath
{
    private const int Longest = 400;

    private static readonly string[] Devices = ["CON", "PRN", "AUX", "NUL", "CLOCK$"];

    /// <summary>Refuses a path that could lead anywhere but to a file below its folder, or take the name of something of ours.</summary>
    /// <exception cref="NablaGenException">It could.</exception>
    public static void Check(string path, string repository)
    {
        if (Fault(path) is { } fault)
        {
            throw new NablaGenException($"{repository}: lists the file {Line.Key(path)}, whose name {fault}: nothing was written.");
        }
    }

    /// <summary>Whether a text is a repository's name: <c>owner/name</c> of letters, digits, points, hyphens and underscores.</summary>
    public static bool IsRepository(string name) =>
        name.Split('/') is [var owner, var rest] && new[] { owner, rest }.All(part => part.Length is > 0 and <= 96 && part[0] is not ('.' or '-')
            && part.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_') && !part.Contains("..", StringComparison.Ordinal));

    private static string? Fault(string path)
    {
        if (path.Length is 0 or > Longest)
        {
            return $"has {path.Length} characters";
        }

        if (path.Any(c => Line.IsOrder(c) || c is '\\' or ':' or '*' or '?' or '"' or '<' or '>' or '|'))
        {
            return "has a character that file systems give a meaning to";
        }

        foreach (var part in path.Split('/'))
        {
            if (part.Length == 0 || part.All(c => c == '.') || part[^1] is '.' or ' ' || part[0] == ' ')
            {
                return "leads out of the folder or is another's under some systems";
            }

            var stem = part.Split('.')[0].TrimEnd();
            if (Devices.Contains(stem, StringComparer.OrdinalIgnoreCase) || (stem.Length == 4 && stem[..3].ToUpperInvariant() is "COM" or "LPT"))
            {
                return "is a device's under Windows";
            }
        }

        return PartialFile.IsName(path) ? "is that of an unfinished download" : null;
    }
}
