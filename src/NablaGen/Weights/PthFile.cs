using System.IO.Compression;
using System.Runtime.InteropServices;
using NablaGen.Files;
using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>
/// A <c>.pth</c> file as PyTorch 1.6 and newer write it: a zip archive of a pickled dictionary and one entry a storage; or in the form
/// before it (<see cref="LegacyPth"/>). So the official downloads need no conversion in Python.
/// </summary>
/// <remarks>
/// Our own reader reads the pickle. It knows a state_dict's few globals and refuses all others by name, so that a
/// hostile file cannot run anything. A tensor is read from its entry straight through to the target, a small buffer at a time; one
/// whose elements are not in order (a transposed view) goes through a copy of its storage.
/// </remarks>
public sealed class PthFile : ITensorSource
{
    private const int BufferBytes = 1 << 20;
    // A model's has some hundred bytes a tensor.
    private const long LongestPickle = 32_000_000;

    private readonly FileStream _stream;
    private readonly ZipArchive? _archive;
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (PthStorage Storage, StateTensor View)> _places = new(StringComparer.Ordinal);
    private readonly TensorReader _reader;

    private PthFile(string path, FileStream stream)
    {
        Path = path;
        _stream = stream;
        _archive = LegacyPth.Recognizes(stream) ? null : new ZipArchive(stream, ZipArchiveMode.Read, leaveOpen: true);
        unsafe
        {
            _reader = new TensorReader(this, Stream);
        }
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public IReadOnlyList<string> Files => [Path];

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    /// <summary>Opens a file and verifies its directory and its pickle.</summary>
    /// <exception cref="NablaGenException">
    /// There is no such file, it is not of that form, it is truncated, or it holds something other than tensors.
    /// </exception>
    public static PthFile Open(string path)
    {
        var stream = MappedFile.OpenStream(path);
        PthFile? file = null;
        try
        {
            file = new PthFile(path, stream);
            file.ReadDirectory();
            return file;
        }
        catch (Exception e) when (IsBadArchive(e))
        {
            Close();
            throw Bad(path, e);
        }
        catch
        {
            Close();
            throw;
        }

        void Close()
        {
            file?.Dispose();
            stream.Dispose();
        }
    }

    /// <inheritdoc/>
    public string FileOf(string name) => Path;

    /// <inheritdoc/>
    public Tensor Read(string name) => _reader.Read(name);

    /// <inheritdoc/>
    public void CopyTo(string name, Tensor target) => _reader.CopyTo(name, target);

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        _reader.Dispose();
        _archive?.Dispose();
        _stream.Dispose();
    }

    private void ReadDirectory()
    {
        var (tensors, storages) = _archive is null ? LegacyPth.Read(_stream) : ReadArchive(_archive);
        foreach (var (key, tensor) in tensors)
        {
            if (!storages.TryGetValue(tensor.Storage, out var storage))
            {
                throw new FormatException($"tensor {Line.Key(key)}: its storage {Line.Key(tensor.Storage)} is not in the archive");
            }

            if (!_entries.TryAdd(key, Place(key, tensor, storage)))
            {
                throw new FormatException($"the key {Line.Key(key)} comes twice");
            }

            _places.Add(key, (storage, tensor));
        }
    }

    private (List<KeyValuePair<string, StateTensor>> Tensors, Dictionary<string, PthStorage> Storages) ReadArchive(ZipArchive archive)
    {
        var pickles = archive.Entries.Where(entry => entry.Name == "data.pkl").ToList();
        if (pickles.Count != 1)
        {
            throw new FormatException($"expected one data.pkl in the archive, found {pickles.Count}");
        }

        var root = pickles[0].FullName[..^"data.pkl".Length];
        if (archive.GetEntry(root + "byteorder") is { } byteOrder && !ReadWhole(byteOrder).AsSpan().SequenceEqual("little"u8))
        {
            throw new FormatException("byteorder: expected little-endian data");
        }

        var tensors = StateDict.Read(ReadWhole(pickles[0]));
        var storages = new Dictionary<string, PthStorage>(StringComparer.Ordinal);
        foreach (var name in tensors.Select(tensor => tensor.Value.Storage).Distinct())
        {
            if (archive.GetEntry($"{root}data/{name}") is not { } entry)
            {
                continue;
            }

            if (entry.CompressedLength > _stream.Length)
            {
                throw new FormatException($"the storage {Line.Key(name)} is longer than the file: "
                    + $"expected {entry.CompressedLength} bytes, found {_stream.Length}");
            }

            // Finds the entry's own header, so that a bad one shows now.
            entry.Open().Dispose();
            storages.Add(name, new PthStorage(entry.Length, entry.Open));
        }

        return (tensors, storages);
    }

    private static TensorEntry Place(string key, StateTensor tensor, PthStorage storage)
    {
        var size = tensor.Type.Size();
        if (!ByteCounts.TryOf([tensor.StorageCount], tensor.Type, out var expected) || storage.Length != expected)
        {
            throw new FormatException($"tensor {Line.Key(key)}: its storage has the wrong length: "
                + $"expected {tensor.StorageCount} × {size} bytes ({tensor.Type}), found {storage.Length}");
        }

        var isInside = ByteCounts.TryOf(tensor.Shape, tensor.Type, out var count) && tensor.Offset >= 0
            && (count == 0 ? tensor.Offset <= tensor.StorageCount : LastElement(tensor) < (UInt128)tensor.StorageCount);
        if (!isInside)
        {
            throw new FormatException($"tensor {Line.Key(key)}: {Line.Shape(tensor.Shape)} from element {tensor.Offset} lies outside "
                + $"its storage: expected at most {tensor.StorageCount} elements");
        }

        // An expanded view: a few bytes could ask for any amount of memory.
        if (count > expected)
        {
            throw new FormatException($"tensor {Line.Key(key)}: {Line.Shape(tensor.Shape)} repeats elements of its storage, which has {tensor.StorageCount}: "
                + "save it with .contiguous()");
        }

        if (!tensor.IsContiguous && expected > Array.MaxLength)
        {
            throw new FormatException($"tensor {Line.Key(key)} is not contiguous and its storage has {expected} bytes, expected at most {Array.MaxLength}: "
                + "save it with .contiguous()");
        }

        return new TensorEntry(key, tensor.Type, tensor.Shape, tensor.Offset * size, count);
    }

    private static UInt128 LastElement(StateTensor tensor)
    {
        var last = (UInt128)tensor.Offset;
        for (var i = 0; i < tensor.Shape.Length; i++)
        {
            last += (UInt128)(tensor.Shape[i] - 1) * (UInt128)tensor.Strides[i];
        }

        return last;
    }

    private static byte[] ReadWhole(ZipArchiveEntry entry)
    {
        if (entry.Length > LongestPickle)
        {
            throw new FormatException(
                $"{Line.Key(entry.FullName)} is too long: expected at most {LongestPickle} bytes, found {entry.Length}");
        }

        var bytes = new byte[entry.Length];
        using var stream = entry.Open();
        stream.ReadExactly(bytes);
        return bytes;
    }

    private unsafe void Stream(TensorEntry entry, MappedFile.PieceUser user)
    {
        var (storage, view) = _places[entry.Name];
        if (!view.IsContiguous)
        {
            Gather(storage, view, user);
            return;
        }

        var buffer = (byte*)NativeMemory.Alloc(BufferBytes);
        try
        {
            using var stream = storage.Open();
            Skip(stream, entry.Offset, new Span<byte>(buffer, BufferBytes));
            for (long done = 0; done < entry.ByteCount;)
            {
                var piece = (int)Math.Min(BufferBytes, entry.ByteCount - done);
                stream.ReadExactly(new Span<byte>(buffer, piece));
                user(buffer, piece, done);
                done += piece;
            }
        }
        catch (Exception e) when (IsBadArchive(e))
        {
            throw Bad(Path, e);
        }
        finally
        {
            NativeMemory.Free(buffer);
        }
    }

    // The elements in row-major order, picked from a copy of the storage.
    private unsafe void Gather(PthStorage storage, StateTensor view, MappedFile.PieceUser user)
    {
        var bytes = new byte[storage.Length];
        try
        {
            using var stream = storage.Open();
            stream.ReadExactly(bytes);
        }
        catch (Exception e) when (IsBadArchive(e))
        {
            throw Bad(Path, e);
        }

        StridedElements.Bring(bytes, view, BufferBytes, user);
    }

    // Compressed entries cannot be sought in.
    private static void Skip(Stream stream, long count, Span<byte> buffer)
    {
        if (stream.CanSeek)
        {
            stream.Position += count;
            return;
        }

        for (; count > 0; count -= Math.Min(count, buffer.Length))
        {
            stream.ReadExactly(buffer[..(int)Math.Min(count, buffer.Length)]);
        }
    }

    // What a zip library throws for archives that are cut short or made up.
    private static bool IsBadArchive(Exception e) => e is FormatException or InvalidDataException or IOException or ArgumentException
        or OverflowException or NotSupportedException;

    private static NablaGenException Bad(string path, Exception e) => e is FormatException
        ? new NablaGenException(Line.Of($"{path}: is not a readable state_dict: {e.Message}."), e)
        : FileKind.Error(path, FileKind.ZipArchive, $"{path}: is not a complete zip archive, the format that PyTorch 1.6 and newer write: {e.Message}", e);
}
