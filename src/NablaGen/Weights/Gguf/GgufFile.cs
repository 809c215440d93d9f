using System.Globalization;
using System.Runtime.InteropServices;
using NablaGen.Files;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Weights.Gguf;

/// <summary>
/// A GGUF file (ggml, docs/gguf.md), read lazily. Quantised tensors are read as float32, to the bits of ggml's own expansion; no more than a
/// few megabytes of them are expanded at once.
/// </summary>
public sealed unsafe class GgufFile : ITensorSource
{
    private const int MostSides = 8;
    private const int Workers = 64;

    private readonly MappedFile _file;
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, GgufType> _types = new(StringComparer.Ordinal);
    private readonly Dictionary<string, object> _values = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _metadata = new(StringComparer.Ordinal);
    private readonly TensorReader _reader;
    private float* _expanded;

    private GgufFile(MappedFile file)
    {
        _file = file;
        _reader = new TensorReader(this, Bring);
    }

    /// <inheritdoc/>
    public string Path => _file.Path;

    /// <inheritdoc/>
    public IReadOnlyList<string> Files => [Path];

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    /// <summary>The values of the file's keys that are texts or numbers, as text.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <summary>The values of the file's keys: numbers, bools, texts, and arrays of them (of float32, text and bytes as such).</summary>
    public IReadOnlyDictionary<string, object> Values => _values;

    /// <summary>Opens a file and verifies its head.</summary>
    /// <exception cref="NablaGenException">There is no such file, it is truncated or malformed, or a tensor has a type that can't be read.</exception>
    public static GgufFile Open(string path)
    {
        var mapped = MappedFile.Open(path);
        var file = new GgufFile(mapped);
        try
        {
            file.ReadHead();
            return file;
        }
        catch (FormatException e)
        {
            file.Dispose();
            throw new NablaGenException(Line.Of($"{path}: is not a readable GGUF file: {e.Message}."), e);
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
    public StoredNumbers? FindStored(string name) => _types[TensorReader.Find(this, name).Name] is { Expand: not null } type
        ? TensorReader.Stored(_entries[name], type.Name, (entry, user) => _file.Map(entry.Offset, entry.ByteCount, user), (start, count, values) => Expand(type, type.Expand, start, count / type.Bytes, values))
        : null;

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        _reader.Dispose();
        NativeMemory.Free(_expanded);
        _expanded = null;
        _file.Dispose();
    }

    private void ReadHead()
    {
        var reader = new GgufReader(_file);
        if (reader.Number32() != 0x46554747)
        {
            throw new FormatException("expected it to begin with GGUF");
        }

        if (reader.Number32() is var version and not (2 or 3))
        {
            throw new FormatException($"its version is {version}, expected 2 or 3 with little-endian data");
        }

        var tensors = reader.Count(24, "the list of tensors");
        var keys = reader.Count(13, "the list of keys");
        for (var i = 0; i < keys; i++)
        {
            var key = reader.Text();
            var value = reader.Value();
            if (!_values.TryAdd(key, value))
            {
                throw new FormatException($"the key {Line.Key(key)} comes twice");
            }

            if (value is IConvertible)
            {
                _metadata.Add(key, Convert.ToString(value, CultureInfo.InvariantCulture)!);
            }
        }

        var alignment = _values.TryGetValue("general.alignment", out var said) ? said : 32u;
        if (alignment is not uint step || step is 0 or > 1 << 20 || !uint.IsPow2(step))
        {
            throw new FormatException($"\"general.alignment\": expected a power of two up to {1 << 20}, found {alignment}");
        }

        for (var i = 0; i < tensors; i++)
        {
            ReadTensor(reader, step);
        }

        Place((reader.Position + step - 1) / step * step);
    }

    private void ReadTensor(GgufReader reader, uint alignment)
    {
        var name = reader.Text();
        var sides = reader.Number32();
        if (sides > MostSides)
        {
            throw new FormatException($"tensor {Line.Key(name)} has {sides} sides, expected at most {MostSides}");
        }

        // The fastest side comes first in the file, last in a shape.
        var shape = new long[sides];
        for (var side = shape.Length - 1; side >= 0; side--)
        {
            var size = reader.Number64();
            shape[side] = size <= long.MaxValue ? (long)size : throw new FormatException($"tensor {Line.Key(name)}: a side of {size}");
        }

        var id = reader.Number32();
        var type = GgufType.Find(id) ?? throw new FormatException($"tensor {Line.Key(name)} is of {GgufType.Unknown(id)}");
        var offset = reader.Number64();
        if (offset % alignment != 0 || offset > long.MaxValue)
        {
            throw new FormatException($"tensor {Line.Key(name)} begins at byte {offset} of the data, expected a multiple of {alignment}");
        }

        if (type.Elements > 1 && (shape.Length == 0 || shape[^1] % type.Elements != 0))
        {
            throw new FormatException($"tensor {Line.Key(name)} of {type.Name} has the shape {Line.Shape(shape)}: expected rows of a multiple of {type.Elements}");
        }

        if (!ByteCounts.TryOf(shape, StoredType.F64, out var wide))
        {
            throw new FormatException($"tensor {Line.Key(name)}: the shape {Line.Shape(shape)} is too large");
        }

        var entry = new TensorEntry(name, type.Plain ?? StoredType.F32, shape, (long)offset, wide / 8 / type.Elements * type.Bytes) { Format = type.Name };
        if (!_entries.TryAdd(name, entry))
        {
            throw new FormatException($"the tensor {Line.Key(name)} comes twice");
        }

        _types.Add(name, type);
    }

    // Each tensor must lie inside the file and on no other.
    private void Place(long start)
    {
        TensorEntry? previous = null;
        foreach (var entry in _entries.Values.OrderBy(entry => entry.Offset).ThenBy(entry => entry.ByteCount).ToList())
        {
            if (previous is not null && entry.Offset < previous.Offset + previous.ByteCount)
            {
                throw new FormatException($"tensors {Line.Key(previous.Name)} and {Line.Key(entry.Name)} overlap");
            }

            if (entry.Offset > _file.Length - start || entry.ByteCount > _file.Length - start - entry.Offset)
            {
                throw new FormatException($"the data are truncated in tensor {Line.Key(entry.Name)}: expected {(UInt128)entry.Offset + (UInt128)entry.ByteCount} bytes "
                    + $"after the head, found {Math.Max(0, _file.Length - start)}");
            }

            _entries[entry.Name] = entry with { Offset = start + entry.Offset };
            previous = entry;
        }
    }

    // Plain numbers as they are; quantised ones in float32.
    private void Bring(TensorEntry entry, MappedFile.PieceUser user)
    {
        if (_types[entry.Name] is not { Expand: { } expand } type)
        {
            _file.Map(entry.Offset, entry.ByteCount, user);
            return;
        }

        if (_expanded is null)
        {
            _expanded = (float*)NativeMemory.Alloc(MappedFile.PieceBytes);
        }

        var blocks = entry.ByteCount / type.Bytes;
        long most = MappedFile.PieceBytes / sizeof(float) / type.Elements;
        for (long done = 0; done < blocks; done += most)
        {
            var count = Math.Min(most, blocks - done);
            _file.Map(entry.Offset + done * type.Bytes, count * type.Bytes, (start, _, _) => Expand(type, expand, start, count, _expanded));
            user((byte*)_expanded, count * type.Elements * sizeof(float), done * type.Elements * sizeof(float));
        }
    }

    private static void Expand(GgufType type, GgufExpand expand, byte* start, long count, float* target)
    {
        var share = (count + Workers - 1) / Workers;
        Parallel.For(0, Workers, worker =>
        {
            for (var block = worker * share; block < Math.Min(count, (worker + 1) * share); block++)
            {
                expand(start + block * type.Bytes, target + block * type.Elements);
            }
        });
    }
}
