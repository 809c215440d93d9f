using System.Text.RegularExpressions;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>
/// The files of Wan2.2's two experts. Their keys and shapes are the same, so here alone a name counts: the field calls them <c>high_noise</c> and
/// <c>low_noise</c>, <c>HighNoise</c> and <c>LowNoise</c>, or <c>HIGH</c> and <c>LOW</c>, in the file's name or its folder's.
/// </summary>
/// <param name="High">The one for noisy latents.</param>
/// <param name="Low">The other.</param>
internal sealed partial record ExpertPair(string High, string Low)
{
    /// <summary>The pair that a file is one of; null where its name says nothing of the kind.</summary>
    /// <param name="file">A transformer's file.</param>
    /// <exception cref="NablaGenException">The name says that it is an expert, and there is no other.</exception>
    public static ExpertPair? Find(string file)
    {
        var full = Path.GetFullPath(file);
        var (folder, name) = (Path.GetDirectoryName(full)!, Path.GetFileName(full));
        var around = Path.GetDirectoryName(folder) ?? folder;
        // "low" alone may mean much; with "noise" behind it there is no doubt.
        var isSure = WithNoise().IsMatch(name) || WithNoise().IsMatch(Path.GetFileName(folder));
        var marker = isSure ? WithNoise() : Alone();
        if (marker.Matches(name).Concat(isSure ? marker.Matches(Path.GetFileName(folder)) : []).FirstOrDefault() is not { } said)
        {
            return null;
        }

        var (swapped, swappedFolder) = (Swapped(marker, name), isSure ? Path.Combine(around, Swapped(marker, Path.GetFileName(folder))) : folder);
        var other = new[] { Path.Combine(swappedFolder, swapped), Path.Combine(folder, swapped) }.FirstOrDefault(path => path != full && File.Exists(path))
            ?? Alike(swapped, swappedFolder, full);
        if (other is null)
        {
            return !isSure ? null : throw new NablaGenException(
                $"{file}: is one of two experts by its name, and the other is not there: expected {Path.Combine(swappedFolder, swapped)}.");
        }

        return said.Value.Equals("high", StringComparison.OrdinalIgnoreCase) ? new ExpertPair(file, other) : new ExpertPair(other, file);
    }

    private static string Swapped(Regex marker, string text) => marker.Replace(text, match => match.Value switch
    {
        "high" => "low",
        "low" => "high",
        "HIGH" => "LOW",
        "LOW" => "HIGH",
        _ => match.Value[0] is 'H' or 'h' ? "Low" : "High",
    });

    // Some are published with a hyphen in one name and an underscore in the other.
    private static string? Alike(string name, string folder, string own)
    {
        static string Plain(string text) => text.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal).ToUpperInvariant();

        var alike = Directory.Exists(folder)
            ? Companions.FilesIn([folder], recursion: false).Where(file => file != own && Plain(Path.GetFileName(file)) == Plain(name)).ToList()
            : [];
        return alike is [var only] ? only : null;
    }

    [GeneratedRegex("(?<![A-Za-z])(high|low)(?=[-_. ]?noise)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex WithNoise();

    [GeneratedRegex("(?<![A-Za-z])(high|low)(?![A-Za-z])", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Alone();
}
