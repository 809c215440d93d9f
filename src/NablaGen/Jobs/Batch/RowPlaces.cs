using System.Security.Cryptography;
using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// Which files the rows of a batch have. A finished video is found by its recipe, under whatever number it was made: a row that was moved
/// is not made again. A name that holds another recipe's video or latents is left alone: what is made then gets the next one, NAME-2.
/// </summary>
internal sealed class RowPlaces
{
    private const int MostNames = 10_000;
    private static readonly string[] Videos = [".mp4", ".png"];

    private readonly string _folder;
    private readonly BatchManifest _manifest;
    private readonly bool _verifies;
    private readonly Dictionary<int, string> _keys = [];
    private readonly Dictionary<string, List<BatchRow>> _alike = [];
    private readonly Dictionary<int, int> _placeAmongAlike = [];

    // Names from elsewhere in the list, and which row counts them as its own.
    private readonly Dictionary<string, int> _adopted = [];

    /// <param name="folder">The batch's folder.</param>
    /// <param name="manifest">What is known of it.</param>
    /// <param name="rows">The whole batch's, so that all shards share names out alike.</param>
    /// <param name="recipeOf">A row's recipe.</param>
    /// <param name="verifies">Compares hashes, not only sizes.</param>
    public RowPlaces(string folder, BatchManifest manifest, IReadOnlyList<BatchRow> rows, Func<BatchRow, Recipe> recipeOf, bool verifies)
    {
        (_folder, _manifest, _verifies) = (folder, manifest, verifies);
        foreach (var row in rows)
        {
            var key = _keys[row.Number] = ManifestEntry.KeyOf(recipeOf(row));
            if (!_alike.TryGetValue(key, out var alike))
            {
                _alike[key] = alike = [];
            }

            _placeAmongAlike[row.Number] = alike.Count;
            alike.Add(row);
        }
    }

    /// <summary>What a process claims that makes a row: the recipe, and which of the rows that have it.</summary>
    public string ClaimOf(BatchRow row) => $"recipe-{_keys[row.Number]}-{_placeAmongAlike[row.Number]}";

    /// <summary>What the manifest says of a row, where that still holds: a failure, or a video that is there; null where it is to be made.</summary>
    public ManifestEntry? Settled(BatchRow row)
    {
        var entries = Entries(row).ToList();
        if (entries.Find(entry => entry.State == RowState.Done && IsThere(entry)) is { } done)
        {
            Adopt(row, done.Name);
            return done;
        }

        // One that was made, and that somebody has removed or changed, is wanted again.
        return entries.Exists(entry => entry.State == RowState.Done) ? null : entries.Find(entry => entry.State == RowState.Failed);
    }

    /// <summary>All that is known of a row's video, whether it is there or not.</summary>
    public IReadOnlyList<ManifestEntry> Known(BatchRow row) => [.. Entries(row)];

    /// <summary>The name of a row's saved latents; null where there are none.</summary>
    public string? Latents(BatchRow row) => Entries(row).Select(entry => entry.Name).Concat(Numbered(row).TakeWhile(IsSomethingThere))
        .FirstOrDefault(name => Holds(LatentsOf(name), row) is true);

    /// <summary>Finds a name for what is to be made, and claims it.</summary>
    /// <exception cref="NablaGenException">There is none.</exception>
    public string Claim(BatchRow row, FileClaims claims)
    {
        foreach (var name in Candidates(row))
        {
            if (IsOthers(name, row) || !claims.TryClaim(name))
            {
                continue;
            }

            // Another may have finished in between.
            _manifest.Refresh();
            if (!IsOthers(name, row))
            {
                Adopt(row, name);
                return name;
            }

            claims.Release(name);
        }

        throw new NablaGenException($"{Path.Combine(_folder, row.Name)}: there are {MostNames} videos of that name: use another folder");
    }

    // Those under the row's own names come first.
    private IEnumerable<ManifestEntry> Entries(BatchRow row)
    {
        var alike = _alike[_keys[row.Number]];
        return _manifest.Of(_keys[row.Number])
            .Where(entry => IsNameOf(entry.Name, row)
                || (!alike.Any(other => IsNameOf(entry.Name, other)) && _adopted.GetValueOrDefault(entry.Name, row.Number) == row.Number))
            .OrderBy(entry => !IsNameOf(entry.Name, row)).ThenBy(entry => entry.State).ThenBy(entry => entry.Name, StringComparer.Ordinal);
    }

    private IEnumerable<string> Candidates(BatchRow row) =>
        Entries(row).Select(entry => entry.Name).Concat(Numbered(row)).Distinct();

    private static IEnumerable<string> Numbered(BatchRow row) => Enumerable.Range(2, MostNames).Select(n => $"{row.Name}-{n}").Prepend(row.Name);

    private static bool IsNameOf(string name, BatchRow row) => name == row.Name
        || (name.Length > row.Name.Length + 1 && name.StartsWith(row.Name, StringComparison.Ordinal) && name[row.Name.Length] == '-'
            && name.AsSpan(row.Name.Length + 1).ContainsAnyExceptInRange('0', '9') is false);

    private void Adopt(BatchRow row, string name)
    {
        if (!IsNameOf(name, row))
        {
            _adopted[name] = row.Number;
        }
    }

    // Whether files of a name are of another recipe, as far as can be seen; what cannot be seen is not ours.
    private bool IsOthers(string name, BatchRow row)
    {
        if (Holds(LatentsOf(name), row) is false)
        {
            return true;
        }

        if (!Videos.Any(ending => File.Exists(PathOf(name, ending))))
        {
            return false;
        }

        var known = _manifest.Named(name).Where(entry => entry.State == RowState.Done).ToList();
        return known.Count > 0
            ? known.All(entry => entry.Key != _keys[row.Number])
            : Holds(LatentsOf(name), row) is not true && Holds(PathOf(name, ".json"), row) is not true;
    }

    private bool IsSomethingThere(string name) =>
        File.Exists(LatentsOf(name)) || File.Exists(PathOf(name, ".json")) || Videos.Any(ending => Path.Exists(PathOf(name, ending)));

    // Null where there is no such file, or none that says what it is.
    private bool? Holds(string path, BatchRow row)
    {
        try
        {
            return File.Exists(path) ? ManifestEntry.KeyOf(RecipeFile.Read(path)) == _keys[row.Number] : null;
        }
        catch (NablaGenException)
        {
            return null;
        }
    }

    private bool IsThere(ManifestEntry entry)
    {
        if (entry.Video is not { } name)
        {
            return false;
        }

        var video = new FileInfo(Path.Combine(_folder, name));
        return video.Exists && video.Length == entry.Bytes && (!_verifies || Hash(video.FullName) == entry.Sha256);
    }

    private string LatentsOf(string name) => PathOf(name, ".latents.safetensors");

    private string PathOf(string name, string ending) => Path.Combine(_folder, name + ending);

    /// <summary>The SHA-256 of a file, 64 lower-case hexadecimal digits.</summary>
    public static string Hash(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }
}
