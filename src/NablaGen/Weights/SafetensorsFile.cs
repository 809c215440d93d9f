using NablaGen.Files;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>
/// A safetensors file, read lazily: opening verifies the whole header and reads nothing else; each read maps that tensor's
/// bytes alone and releases them again.
/// </summary>
public sealed class SafetensorsFile : ITensorSource
{
    private readonly MappedFile _file;
    private readonly SafetensorsHeader _header;
    private readonly TensorReader _reader;

    private SafetensorsFile(MappedFile file, SafetensorsHeader header)
    {
        _file = file;
        _header = header;
        unsafe
        {
            _reader = new TensorReader(this, (entry, user) => file.Map(entry.Offset, entry.ByteCount, user));
        }
    }

    /// <inheritdoc/>
    public string Path => _file.Path;

    /// <inheritdoc/>
    public IReadOnlyList<string> Files => [Path];

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorEntry> Entries => _header.Entries;

    /// <summary>The notes in the header's <c>__metadata__</c>; empty if there are none.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _header.Metadata;

    /// <summary>Opens a file and verifies its header.</summary>
    /// <exception cref="NablaGenException">There is no such file, or it is truncated or malformed.</exception>
    public static SafetensorsFile Open(string path)
    {
        var file = MappedFile.Open(path);
        try
        {
            return new SafetensorsFile(file, SafetensorsHeader.Read(file));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public string FileOf(string name) => Path;

    /// <inheritdoc/>
    public Tensor Read(string name) => _reader.Read(name);

    /// <inheritdoc/>
    public void CopyTo(string name, Tensor target) => _reader.CopyTo(name, target);

    /// <inheritdoc/>
    public StoredNumbers? FindStored(string name) => _reader.FindStored(name);

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        _reader.Dispose();
        _file.Dispose();
    }
}
