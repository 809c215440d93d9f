using System.Text.Json;
using NablaGen.Files;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>
/// A checkpoint in several safetensors files with an index beside them (<c>*.safetensors.index.json</c>), whose
/// <c>weight_map</c> says which file holds which key.
/// </summary>
public sealed class ShardedCheckpoint : ITensorSource
{
    private readonly Dictionary<string, SafetensorsFile> _owners = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, SafetensorsFile> _shards = new(StringComparer.Ordinal);

    private ShardedCheckpoint(string path) => Path = path;

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public IReadOnlyList<string> Files => [Path, .. _shards.Values.Select(shard => shard.Path)];

    /// <summary>The notes of the first shard; the index has none for us.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _shards.Values.First().Metadata;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    /// <summary>Opens an index and verifies the headers of all its shards.</summary>
    /// <exception cref="NablaGenException">
    /// The index is not JSON of that form, a shard is missing or bad, or the index and the shards disagree about a key.
    /// </exception>
    public static ShardedCheckpoint Open(string path)
    {
        var checkpoint = new ShardedCheckpoint(path);
        try
        {
            checkpoint.OpenShards(WeightMap(path));
            return checkpoint;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public string FileOf(string name) => _owners.TryGetValue(name, out var shard) ? shard.Path : Path;

    /// <inheritdoc/>
    public Tensor Read(string name) => Owner(name).Read(name);

    /// <inheritdoc/>
    public void CopyTo(string name, Tensor target) => Owner(name).CopyTo(name, target);

    /// <inheritdoc/>
    public StoredNumbers? FindStored(string name) => Owner(name).FindStored(name);

    /// <summary>Closes all shards.</summary>
    public void Dispose()
    {
        foreach (var shard in _shards.Values)
        {
            shard.Dispose();
        }
    }

    private SafetensorsFile Owner(string name) => _owners[TensorReader.Find(this, name).Name];

    private static Dictionary<string, string> WeightMap(string path)
    {
        using var document = JsonFile.Read(path);
        if (document.RootElement.ValueKind != JsonValueKind.Object
            || !document.RootElement.TryGetProperty("weight_map", out var map)
            || map.ValueKind != JsonValueKind.Object)
        {
            throw new NablaGenException($"{path}: has no \"weight_map\": expected an object of keys and file names.");
        }

        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var pair in map.EnumerateObject())
        {
            if (pair.Value.ValueKind != JsonValueKind.String)
            {
                throw new NablaGenException(
                    $"{path}: weight_map, {Line.Key(pair.Name)}: expected a file name, found {JsonKinds.Name(pair.Value.ValueKind)}.");
            }

            var file = pair.Value.GetString()!;
            // An index comes from strangers: it may name files beside it and no others.
            if (file is "" or "." or ".." || file.IndexOfAny(['/', '\\', ':', '\0']) >= 0)
            {
                throw new NablaGenException(
                    $"{path}: weight_map, {Line.Key(pair.Name)}: expected a file in the same folder, found {Line.Key(file)}.");
            }

            if (!files.TryAdd(pair.Name, file))
            {
                throw new NablaGenException($"{path}: weight_map: the key {Line.Key(pair.Name)} comes twice.");
            }
        }

        return files;
    }

    private void OpenShards(Dictionary<string, string> map)
    {
        var folder = System.IO.Path.GetDirectoryName(Path) ?? "";
        foreach (var name in map.Values.Distinct().Order(StringComparer.Ordinal))
        {
            var file = System.IO.Path.Combine(folder, name);
            if (!File.Exists(file))
            {
                var keys = map.Where(pair => pair.Value == name).Select(pair => pair.Key).ToList();
                throw new NablaGenException(Line.Of($"{Path}: the shard {Line.Key(name)} is missing: expected it beside the index; it holds "
                    + $"{Line.Key(keys[0])}{Line.More(keys.Count - 1)}."));
            }

            _shards.Add(name, SafetensorsFile.Open(file));
        }

        foreach (var (key, file) in map)
        {
            var shard = _shards[file];
            if (!shard.Entries.TryGetValue(key, out var entry))
            {
                throw new NablaGenException($"{shard.Path}: has no tensor {Line.Key(key)}, which {Path} expects in it.");
            }

            _owners.Add(key, shard);
            _entries.Add(key, entry);
        }

        foreach (var (name, shard) in _shards)
        {
            foreach (var key in shard.Entries.Keys)
            {
                if (!map.TryGetValue(key, out var file))
                {
                    throw new NablaGenException($"{shard.Path}: has the tensor {Line.Key(key)}, which {Path} does not list.");
                }

                if (file != name)
                {
                    throw new NablaGenException(
                        $"{shard.Path}: has the tensor {Line.Key(key)}, which {Path} expects in {Line.Key(file)}: it is in two shards.");
                }
            }
        }
    }
}
