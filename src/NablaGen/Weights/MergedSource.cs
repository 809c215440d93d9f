using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>Several sources as one; disposing of it disposes of them.</summary>
public sealed class MergedSource : ITensorSource
{
    private readonly IReadOnlyList<ITensorSource> _sources;
    private readonly Dictionary<string, ITensorSource> _owners = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);

    /// <summary>Merges sources.</summary>
    /// <param name="sources">The sources, this one's own from now on; the first gives its name to errors.</param>
    /// <exception cref="NablaGenException">A key is in two of them.</exception>
    public MergedSource(params IReadOnlyList<ITensorSource> sources)
    {
        ArgumentOutOfRangeException.ThrowIfZero(sources.Count);
        _sources = sources;
        foreach (var source in sources)
        {
            foreach (var (key, entry) in source.Entries)
            {
                if (!_owners.TryAdd(key, source))
                {
                    throw new NablaGenException($"{source.FileOf(key)}: has the tensor {NablaGen.Files.Line.Key(key)}, which is in {_owners[key].FileOf(key)} too: expected it in one file.");
                }

                _entries.Add(key, entry);
            }
        }
    }

    /// <inheritdoc/>
    public string Path => _sources[0].Path;

    /// <inheritdoc/>
    public IReadOnlyList<string> Files => [.. _sources.SelectMany(source => source.Files)];

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> Metadata => _sources[0].Metadata;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    /// <inheritdoc/>
    public string FileOf(string name) => _owners.TryGetValue(name, out var owner) ? owner.FileOf(name) : Path;

    /// <inheritdoc/>
    public Tensor Read(string name) => Owner(name).Read(name);

    /// <inheritdoc/>
    public void CopyTo(string name, Tensor target) => Owner(name).CopyTo(name, target);

    /// <inheritdoc/>
    public StoredNumbers? FindStored(string name) => Owner(name).FindStored(name);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var source in _sources)
        {
            source.Dispose();
        }
    }

    private ITensorSource Owner(string name) => _owners[TensorReader.Find(this, name).Name];
}
