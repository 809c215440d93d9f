using System.Buffers.Binary;
using System.Text;
using NablaGen.Files;

namespace NablaGen.Weights.Gguf;

/// <summary>Reads a GGUF file's head from front to back; nothing is allocated before the file has shown that it is that long.</summary>
internal sealed class GgufReader(MappedFile file)
{
    private const int BufferBytes = 1 << 16;

    // The vocabulary of umT5 takes 8 MB; a longer head is an attack or garbage.
    private const long LongestHead = 100_000_000;

    private readonly byte[] _buffer = new byte[BufferBytes];
    private long _bufferStart;
    private int _buffered;

    /// <summary>The next byte, counted from the start of the file.</summary>
    public long Position { get; private set; }

    /// <summary>A number of 32 bits.</summary>
    public uint Number32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    /// <summary>A number of 64 bits.</summary>
    public ulong Number64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    /// <summary>A length and as many bytes of UTF-8.</summary>
    public string Text()
    {
        var count = Count(1, "a text");
        return Encoding.UTF8.GetString(Bytes(count));
    }

    /// <summary>A count of things that take at least some bytes each.</summary>
    /// <param name="least">The fewest bytes of one.</param>
    /// <param name="what">What they are, for errors.</param>
    /// <exception cref="FormatException">The file is too short for so many.</exception>
    public int Count(int least, string what)
    {
        var count = Number64();
        return count <= (ulong)((Math.Min(file.Length, LongestHead) - Position) / least)
            ? (int)count
            : throw new FormatException($"{what} at byte {Position - 8} has a length of {count}, more than the file can hold");
    }

    /// <summary>A value of a type that comes before it: a number, a bool, a text, or an array of them.</summary>
    /// <exception cref="FormatException">There is no such type, or the file is truncated.</exception>
    public object Value() => Number32() is var type && type == 9 ? Array() : Value(type);

    private object Value(uint type) => type switch
    {
        0 => Take(1)[0],
        1 => (sbyte)Take(1)[0],
        2 => BinaryPrimitives.ReadUInt16LittleEndian(Take(2)),
        3 => BinaryPrimitives.ReadInt16LittleEndian(Take(2)),
        4 => Number32(),
        5 => BinaryPrimitives.ReadInt32LittleEndian(Take(4)),
        6 => BinaryPrimitives.ReadSingleLittleEndian(Take(4)),
        7 => Take(1)[0] != 0,
        8 => Text(),
        10 => Number64(),
        11 => BinaryPrimitives.ReadInt64LittleEndian(Take(8)),
        12 => BinaryPrimitives.ReadDoubleLittleEndian(Take(8)),
        _ => throw new FormatException($"a value before byte {Position} has type {type}, expected 0 to 12"),
    };

    // Of texts, float32 numbers and bytes, which tokenizers have, as such; of others as objects.
    private object Array()
    {
        var type = Number32();
        var count = Count(type switch { 0 or 1 or 7 => 1, 2 or 3 => 2, 4 or 5 or 6 => 4, _ => 8 }, "an array");
        return type switch
        {
            0 => Bytes(count),
            6 => Many(count, () => BinaryPrimitives.ReadSingleLittleEndian(Take(4))),
            8 => Many(count, Text),
            9 => throw new FormatException($"an array at byte {Position} holds arrays, expected numbers or texts"),
            _ => Many(count, () => Value(type)),
        };
    }

    private static T[] Many<T>(int count, Func<T> next)
    {
        var values = new T[count];
        for (var i = 0; i < count; i++)
        {
            values[i] = next();
        }

        return values;
    }

    private byte[] Bytes(int count)
    {
        var bytes = new byte[count];
        file.Read(Position, bytes);
        Position += count;
        return bytes;
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > Math.Min(file.Length, LongestHead) - Position)
        {
            throw new FormatException($"its head is truncated: expected {count} bytes at byte {Position}, found {Math.Max(0, Math.Min(file.Length, LongestHead) - Position)}");
        }

        if (Position < _bufferStart || Position + count > _bufferStart + _buffered)
        {
            (_bufferStart, _buffered) = (Position, (int)Math.Min(BufferBytes, file.Length - Position));
            file.Read(Position, _buffer.AsSpan(0, _buffered));
        }

        Position += count;
        return _buffer.AsSpan((int)(Position - count - _bufferStart), count);
    }
}
