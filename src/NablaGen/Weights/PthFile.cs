using System.IO.Compression;
using System.Runtime.InteropServices;
using NablaGen.Files;
using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>
/// A <c>.pth</c> file as PyTorch 1.6 and newer write it: a zip archive of a pickled dictionary and one entry a storage. So
/// the official downloads need no conversion in Python.
/// </summary>
/// <remarks>
/// Our own reader reads the pickle. It knows a state_dict's few globals and refuses all others by name, so that a
/// hostile file cannot run anything. A tensor is read from its entry straight through to the target, a small buffer at a time.
/// </remarks>
public sealed class PthFile : ITensorSource
{
    private const int BufferBytes = 1 << 20;
    // A model's has some hundred bytes a tensor.
    private const long LongestPickle = 32_000_000;

    private readonly FileStream _stream;
    private readonly ZipArchive _archive;
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ZipArchiveEntry> _storages = new(StringComparer.Ordinal);
    private readonly TensorReader _reader;

    private PthFile(string path, FileStream stream)
    {
        Path = path;
        _stream = stream;
        _archive = new ZipArchive(stream, ZipArchiveMode.Read, leaveOpen: true);
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
    /// There is no such file, it is not of that form, it is truncated, or it holds something other than contiguous tensors.
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
        _archive.Dispose();
        _stream.Dispose();
    }

    private void ReadDirectory()
    {
        var pickles = _archive.Entries.Where(entry => entry.Name == "data.pkl").ToList();
        if (pickles.Count != 1)
        {
            throw new FormatException($"expected one data.pkl in the archive, found {pickles.Count}");
        }

        var root = pickles[0].FullName[..^"data.pkl".Length];
        if (_archive.GetEntry(root + "byteorder") is { } byteOrder && !ReadWhole(byteOrder).AsSpan().SequenceEqual("little"u8))
        {
            throw new FormatException("byteorder: expected little-endian data");
        }

        foreach (var (key, tensor) in StateDict.Read(ReadWhole(pickles[0])))
        {
            var storage = _archive.GetEntry($"{root}data/{tensor.Storage}")
                ?? throw new FormatException($"tensor {Line.Key(key)}: its storage {Line.Key(tensor.Storage)} is not in the archive");
            var entry = Place(key, tensor, storage);
            if (!_entries.TryAdd(key, entry))
            {
                throw new FormatException($"the key {Line.Key(key)} comes twice");
            }

            _storages.Add(key, storage);
        }
    }

    private TensorEntry Place(string key, StateTensor tensor, ZipArchiveEntry storage)
    {
        var size = tensor.Type.Size();
        if (!ByteCounts.TryOf([tensor.StorageCount], tensor.Type, out var expected) || storage.Length != expected)
        {
            throw new FormatException($"tensor {Line.Key(key)}: its storage has the wrong length: "
                + $"expected {tensor.StorageCount} × {size} bytes ({tensor.Type}), found {storage.Length}");
        }

        var isInside = ByteCounts.TryOf(tensor.Shape, tensor.Type, out var count)
            && count <= expected && tensor.Offset >= 0 && tensor.Offset <= (expected - count) / size;
        if (!isInside)
        {
            throw new FormatException($"tensor {Line.Key(key)}: {Line.Shape(tensor.Shape)} from element {tensor.Offset} lies outside "
                + $"its storage: expected at most {tensor.StorageCount} elements");
        }

        if (storage.CompressedLength > _stream.Length)
        {
            throw new FormatException($"tensor {Line.Key(key)}: its storage is longer than the file: "
                + $"expected {storage.CompressedLength} bytes, found {_stream.Length}");
        }

        // Finds the entry's own header, so that a bad one shows now.
        storage.Open().Dispose();
        return new TensorEntry(key, tensor.Type, tensor.Shape, tensor.Offset * size, count);
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
        var buffer = (byte*)NativeMemory.Alloc(BufferBytes);
        try
        {
            using var stream = _storages[entry.Name].Open();
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

    // Compressed entries cannot be sought in.
    private static void Skip(Stream stream, long count, Span<byte> buffer)
    {
        if (stream.CanSeek)
        {
            stream.Position = count;
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
