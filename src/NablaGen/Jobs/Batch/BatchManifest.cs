using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// What is known of a batch's rows: JSON lines, only ever appended to. Each shard has a file of its own; processes of one shard append to
/// the same file, a line at a time. All files of the folder are read as one.
/// </summary>
/// <remarks>
/// No clock is believed. Within a file the last line about a video under a name counts. Between files nothing tells which is later: "done"
/// counts before "failed", for a video that is there needs no retry, and one that is not there is not taken for done anyway.
/// </remarks>
public sealed class BatchManifest
{
    private static readonly JsonSerializerOptions Json = new(Recipe.Json)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
        RespectNullableAnnotations = true,
    };

    private readonly string _folder;
    private readonly Dictionary<string, Known> _files = [];

    /// <summary>Opens a folder's manifest, which may not be there yet.</summary>
    /// <param name="folder">The batch's folder.</param>
    /// <param name="shard">Whose lines are added.</param>
    /// <exception cref="NablaGenException">It cannot be read.</exception>
    public BatchManifest(string folder, Shard shard)
    {
        _folder = folder;
        Path = System.IO.Path.Combine(folder, shard.Count == 1 ? "manifest.jsonl" : $"manifest.shard-{shard.Index}-of-{shard.Count}.jsonl");
        Refresh();
    }

    /// <summary>The file that lines are added to.</summary>
    public string Path { get; }

    /// <summary>The line that counts of a name, whatever recipes it had; null where there is none.</summary>
    /// <param name="name">The name of the row's files, without an ending.</param>
    public ManifestEntry? Find(string name)
    {
        var lines = _files.Values.Select(file => file.Last.GetValueOrDefault(name)).OfType<ManifestEntry>().ToList();
        return lines.Find(line => line.State == RowState.Done) ?? lines.LastOrDefault();
    }

    /// <summary>What is known of the videos under a name, one for each recipe; empty where there is none.</summary>
    /// <param name="name">The name of the files, without an ending.</param>
    public IReadOnlyList<ManifestEntry> Named(string name) => Merged(file => file.ByName.GetValueOrDefault(name));

    /// <summary>An entry as the manifest has it, without the line's end.</summary>
    internal static string LineOf(ManifestEntry entry) => JsonSerializer.Serialize(entry, Json);

    /// <summary>The entry of such a line.</summary>
    internal static ManifestEntry EntryOf(string line) => JsonSerializer.Deserialize<ManifestEntry>(line, Json)!;

    /// <summary>What is known of a video under all names it has.</summary>
    /// <param name="recipe">The video's.</param>
    public IReadOnlyList<ManifestEntry> Of(Recipe recipe) => Of(ManifestEntry.KeyOf(recipe));

    internal IReadOnlyList<ManifestEntry> Of(string key) => Merged(file => file.ByKey.GetValueOrDefault(key));

    /// <summary>Reads what was added since, by any process.</summary>
    /// <exception cref="NablaGenException">It cannot be read.</exception>
    public void Refresh()
    {
        foreach (var path in Files())
        {
            try
            {
                Read(path);
            }
            catch (FileNotFoundException)
            {
                // Removed in this moment.
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new NablaGenException(Line.Of($"{path}: cannot be read: {error.Message}"), error);
            }
        }
    }

    private List<string> Files()
    {
        try
        {
            return [.. Directory.EnumerateFiles(_folder, "manifest*.jsonl").Order(StringComparer.Ordinal)];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new NablaGenException(Line.Of($"{_folder}: cannot be read: {error.Message}"), error);
        }
    }

    /// <summary>Adds a line; it is on the disk when this returns.</summary>
    /// <exception cref="NablaGenException">It cannot be written.</exception>
    public void Add(ManifestEntry entry)
    {
        try
        {
            SharedLines.Add(Path, JsonSerializer.SerializeToUtf8Bytes(entry, Json));
            Read(Path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new NablaGenException(Line.Of($"{Path}: cannot be written: {error.Message}"), error);
        }
    }

    /// <summary>Sees before the work that lines can be added.</summary>
    /// <exception cref="NablaGenException">They cannot.</exception>
    public void Check()
    {
        if (!File.Exists(Path))
        {
            return;
        }

        try
        {
            // Nothing is added: opened, and closed again.
            using var file = new FileStream(Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new NablaGenException(Line.Of($"{Path}: cannot be written: {error.Message}"), error);
        }
    }

    private List<ManifestEntry> Merged(Func<Known, IReadOnlyDictionary<(string Name, string Key), ManifestEntry>?> lines)
    {
        var found = new Dictionary<(string Name, string Key), ManifestEntry>();
        foreach (var (id, entry) in _files.Values.Select(lines).OfType<IReadOnlyDictionary<(string Name, string Key), ManifestEntry>>().SelectMany(file => file))
        {
            if (!found.TryGetValue(id, out var known) || known.State == RowState.Failed)
            {
                found[id] = entry;
            }
        }

        return [.. found.Values];
    }

    private void Read(string path)
    {
        using var file = SharedLines.Open(path);
        if (!_files.TryGetValue(path, out var known) || file.Length < known.Length)
        {
            // Not seen before, or begun anew by somebody.
            _files[path] = known = new Known();
        }

        if (file.Length == known.Length)
        {
            return;
        }

        file.Position = known.Length;
        var bytes = new byte[file.Length - known.Length];
        var read = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        // A line that is being written has no end yet.
        var whole = bytes.AsSpan(0, bytes.AsSpan(0, read).LastIndexOf((byte)'\n') + 1);
        known.Length += whole.Length;
        foreach (var line in Encoding.UTF8.GetString(whole).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (Parse(line) is { } entry)
            {
                known.Take(entry);
            }
        }
    }

    // Null where it is half a line, or not one of ours: its row counts as not made, and is made again.
    private static ManifestEntry? Parse(string line)
    {
        try
        {
            // Names are put behind the folder's: one that leads elsewhere is not ours.
            return JsonSerializer.Deserialize<ManifestEntry>(line, Json) is { } entry && IsPlain(entry.Name) && (entry.Video is null || IsPlain(entry.Video))
                ? entry
                : null;
        }
        catch (Exception error) when (error is JsonException or NotSupportedException or NablaGenException or InvalidOperationException)
        {
            return null;
        }
    }

    private static bool IsPlain(string name) => name.Length > 0 && name is not ("." or "..") && name.IndexOfAny(['/', '\\', '\0', ':']) < 0;

    // A file's last lines.
    private sealed class Known
    {
        public Dictionary<string, Dictionary<(string Name, string Key), ManifestEntry>> ByName { get; } = [];

        public Dictionary<string, Dictionary<(string Name, string Key), ManifestEntry>> ByKey { get; } = [];

        public Dictionary<string, ManifestEntry> Last { get; } = [];

        public long Length { get; set; }

        public void Take(ManifestEntry entry)
        {
            var id = (entry.Name, entry.Key);
            Last[entry.Name] = entry;
            Of(ByName, entry.Name)[id] = entry;
            Of(ByKey, id.Key)[id] = entry;
        }

        private static Dictionary<(string Name, string Key), ManifestEntry> Of(
            Dictionary<string, Dictionary<(string Name, string Key), ManifestEntry>> all, string key)
        {
            if (!all.TryGetValue(key, out var lines))
            {
                all[key] = lines = [];
            }

            return lines;
        }
    }
}
