using System.Buffers.Binary;
using NablaGen.Files;

namespace NablaGen.Weights;

/// <summary>
/// The form of <c>torch.save</c> before PyTorch 1.6, and of later ones with <c>_use_new_zipfile_serialization=False</c>: five pickles (a magic
/// number, a version, the system, the dictionary, the storages' names), then each storage's count and elements.
/// </summary>
internal static class LegacyPth
{
    private const int FirstBytes = 1 << 20;
    private const int MostBytes = 100_000_000;

    /// <summary>The magic number as torch.save pickled it: how such a file begins.</summary>
    private static ReadOnlySpan<byte> Magic => [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, (byte)'.'];

    /// <summary>Whether a file begins as this form does.</summary>
    public static bool Recognizes(FileStream stream)
    {
        Span<byte> head = stackalloc byte[Magic.Length];
        return RandomAccess.Read(stream.SafeFileHandle, head, 0) == head.Length && head.SequenceEqual(Magic);
    }

    /// <summary>Reads a file's pickles and finds its storages.</summary>
    /// <exception cref="FormatException">It is truncated or malformed, or holds something other than tensors.</exception>
    public static (List<KeyValuePair<string, StateTensor>> Tensors, Dictionary<string, PthStorage> Storages) Read(FileStream stream)
    {
        for (var count = FirstBytes; ; count = (int)Math.Min(8L * count, MostBytes))
        {
            var head = new byte[(int)Math.Min(count, RandomAccess.GetLength(stream.SafeFileHandle))];
            var isWhole = RandomAccess.Read(stream.SafeFileHandle, head, 0) == head.Length && head.Length == RandomAccess.GetLength(stream.SafeFileHandle);
            try
            {
                return Parse(stream, head);
            }
            catch (FormatException) when (!isWhole && count < MostBytes)
            {
                // The pickles may be longer than what was read.
            }
        }
    }

    private static (List<KeyValuePair<string, StateTensor>> Tensors, Dictionary<string, PthStorage> Storages) Parse(FileStream stream, byte[] head)
    {
        var position = Magic.Length;
        if (Plain(head, ref position) is not 1001L)
        {
            throw new FormatException("expected protocol 1001 of torch.save's old form");
        }

        if (Plain(head, ref position) is not PickleDict system || system.Items.Find(item => item.Key is "little_endian").Value is not true)
        {
            throw new FormatException("expected little-endian data");
        }

        var tensors = StateDict.Read(head, position, out position);
        if (Plain(head, ref position) is not List<object?> names)
        {
            throw new FormatException("expected a list of storages after the dictionary");
        }

        return (tensors, Storages(stream, tensors, names, position));
    }

    private static Dictionary<string, PthStorage> Storages(
        FileStream stream, List<KeyValuePair<string, StateTensor>> tensors, List<object?> names, long position)
    {
        var sizes = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (_, tensor) in tensors)
        {
            sizes[tensor.Storage] = tensor.Type.Size();
        }

        var storages = new Dictionary<string, PthStorage>(StringComparer.Ordinal);
        var length = RandomAccess.GetLength(stream.SafeFileHandle);
        Span<byte> number = stackalloc byte[8];
        foreach (var item in names)
        {
            if (item is not string name || !sizes.TryGetValue(name, out var size))
            {
                throw new FormatException("its list of storages names one that no tensor has");
            }

            if (position > length - 8 || RandomAccess.Read(stream.SafeFileHandle, number, position) != 8)
            {
                throw new FormatException($"it is truncated before the storage {Line.Key(name)}");
            }

            var (start, count) = (position + 8, BinaryPrimitives.ReadInt64LittleEndian(number));
            if (count < 0 || count > (length - start) / size)
            {
                throw new FormatException($"it is truncated in the storage {Line.Key(name)}: expected {count} × {size} bytes, found {length - start}");
            }

            if (!storages.TryAdd(name, new PthStorage(count * size, () => At(stream, start))))
            {
                throw new FormatException($"its list names the storage {Line.Key(name)} twice");
            }

            position = start + count * size;
        }

        return storages;
    }

    private static object? Plain(byte[] head, ref int position)
    {
        var reader = new PickleReader(
            head, (function, _) => throw new FormatException($"the pickle calls {Line.Key(function.ToString())}"),
            _ => throw new FormatException("found a persistent id outside the dictionary"), position);
        var value = reader.Read();
        position = reader.End;
        return value;
    }

    // A stream of its own: reading one storage must not move another's.
    private static FileStream At(FileStream file, long start)
    {
        var stream = MappedFile.OpenStream(file.Name);
        stream.Position = start;
        return stream;
    }
}
