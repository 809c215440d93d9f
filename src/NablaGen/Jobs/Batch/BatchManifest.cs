using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using NablaGen.Generation;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// What is known of a batch's rows: JSON lines, only ever appended to. Each shard has a file of its own, so that machines need no lock
/// between them; processes of one shard take turns. All files of the folder are read as one, and a row's newest line counts.
/// </summary>
public sealed class BatchManifest
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(20);

    private static readonly JsonSerializerOptions Json = new(Recipe.Json)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    private readonly string _folder;
    private readonly Dictionary<string, ManifestEntry> _entries = [];
    private readonly Dictionary<string, long> _read = [];

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

    /// <summary>The newest line of a row; null where there is none.</summary>
    /// <param name="name">The name of the row's files.</param>
    public ManifestEntry? Find(string name) => _entries.GetValueOrDefault(name);

    /// <summary>Reads what was added since, by any process.</summary>
    /// <exception cref="NablaGenException">It cannot be read.</exception>
    public void Refresh()
    {
        foreach (var path in Directory.EnumerateFiles(_folder, "manifest*.jsonl").Order(StringComparer.Ordinal))
        {
            using var file = Open(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            var start = _read.GetValueOrDefault(path);
            if (file.Length <= start)
            {
                continue;
            }

            file.Position = start;
            var bytes = new byte[file.Length - start];
            file.ReadExactly(bytes);
            // A line that is being written has no end yet.
            var whole = bytes.AsSpan(0, bytes.AsSpan().LastIndexOf((byte)'\n') + 1);
            _read[path] = start + whole.Length;
            foreach (var line in Encoding.UTF8.GetString(whole).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                Take(line);
            }
        }
    }

    /// <summary>Adds a line; it is on the disk when this returns.</summary>
    /// <exception cref="NablaGenException">It cannot be written.</exception>
    public void Add(ManifestEntry entry)
    {
        try
        {
            using var file = Open(Path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            // A process that died while it wrote, or a full disk, has left half a line: end it, and it is passed over.
            var torn = file.Length > 0 && LastByte(file) != '\n';
            file.Seek(0, SeekOrigin.End);
            file.Write(Encoding.UTF8.GetBytes($"{(torn ? "\n" : "")}{JsonSerializer.Serialize(entry, Json)}\n"));
            file.Flush(flushToDisk: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new NablaGenException($"{Path}: cannot be written: {error.Message}", error);
        }

        Keep(entry);
    }

    private static int LastByte(FileStream file)
    {
        file.Seek(-1, SeekOrigin.End);
        return file.ReadByte();
    }

    // While another process holds the file, opening it fails; each holds it for one line.
    private static FileStream Open(string path, FileMode mode, FileAccess access, FileShare share)
    {
        for (var watch = Stopwatch.StartNew(); ; Thread.Sleep(5))
        {
            try
            {
                return new FileStream(path, mode, access, share, bufferSize: 0);
            }
            catch (IOException error) when (error is not (FileNotFoundException or DirectoryNotFoundException) && watch.Elapsed < LongestWait)
            {
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new NablaGenException($"{path}: cannot be opened: {error.Message}", error);
            }
        }
    }

    private void Take(string line)
    {
        try
        {
            if (JsonSerializer.Deserialize<ManifestEntry>(line, Json) is { } entry)
            {
                Keep(entry);
            }
        }
        catch (JsonException)
        {
            // Half a line. The row counts as not made, and is made again.
        }
    }

    private void Keep(ManifestEntry entry)
    {
        if (Find(entry.Name) is not { } known || known.Time <= entry.Time)
        {
            _entries[entry.Name] = entry;
        }
    }
}
