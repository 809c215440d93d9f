using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>
/// Another source's tensors under other names. Some may be left out; none is read before it is asked for. Disposing of the view disposes of
/// the source.
/// </summary>
public sealed class SourceView : ITensorSource
{
    private readonly ITensorSource _source;
    private readonly bool _owns;
    private readonly Dictionary<string, string> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);

    private SourceView(ITensorSource source, Func<string, string?> rename, bool owns)
    {
        (_source, _owns) = (source, owns);
        foreach (var (key, entry) in source.Entries)
        {
            if (rename(key) is { } name)
            {
                if (!_names.TryAdd(name, key))
                {
                    throw new NablaGenException($"{source.FileOf(key)}: the keys {NablaGen.Files.Line.Key(_names[name])} and {NablaGen.Files.Line.Key(key)} both stand for {NablaGen.Files.Line.Key(name)}.");
                }

                _entries.Add(name, entry with { Name = name });
            }
        }
    }

    /// <inheritdoc/>
    public string Path => _source.Path;

    /// <inheritdoc/>
    public IReadOnlyList<string> Files => _source.Files;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> Metadata => _source.Metadata;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    /// <summary>A source's tensors, each under another name.</summary>
    /// <param name="source">The source, the view's own from now on.</param>
    /// <param name="rename">The new name of a key; null to leave the tensor out.</param>
    /// <exception cref="NablaGenException">Two keys get one name.</exception>
    public static SourceView Renamed(ITensorSource source, Func<string, string?> rename) => new(source, rename, owns: true);

    /// <summary>The tensors whose keys begin with a prefix, under what follows it.</summary>
    /// <param name="source">The source; stays the caller's.</param>
    /// <param name="prefix">The prefix.</param>
    public static SourceView Under(ITensorSource source, string prefix) =>
        new(source, key => key.StartsWith(prefix, StringComparison.Ordinal) ? key[prefix.Length..] : null, owns: false);

    /// <inheritdoc/>
    public string FileOf(string name) => _names.TryGetValue(name, out var key) ? _source.FileOf(key) : Path;

    /// <inheritdoc/>
    public Tensor Read(string name) => _source.Read(Key(name));

    /// <inheritdoc/>
    public void CopyTo(string name, Tensor target) => _source.CopyTo(Key(name), target);

    /// <inheritdoc/>
    public StoredNumbers? FindStored(string name) => _source.FindStored(Key(name));

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_owns)
        {
            _source.Dispose();
        }
    }

    private string Key(string name) => _names[TensorReader.Find(this, name).Name];
}
