using System.Buffers.Binary;

namespace NablaGen.Distributed;

/// <summary>What goes over the control connection: a kind, a length and bytes.</summary>
internal static class RankFrame
{
    private const int Header = 5;
    private const int Longest = 1 << 30;

    public enum Kind : byte
    {
        Hello = 1,
        Share = 2,
        Shared = 3,
        Alive = 4,
        Fault = 5,
        Done = 6,
        Shortage = 7,
    }

    public static void Write(Stream stream, Kind kind, ReadOnlySpan<byte> payload)
    {
        var bytes = new byte[Header + payload.Length];
        bytes[0] = (byte)kind;
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(1), payload.Length);
        payload.CopyTo(bytes.AsSpan(Header));
        stream.Write(bytes);
    }

    public static (Kind Kind, byte[] Payload) Read(Stream stream)
    {
        Span<byte> header = stackalloc byte[Header];
        stream.ReadExactly(header);
        var length = BinaryPrimitives.ReadInt32LittleEndian(header[1..]);
        if (length is < 0 or > Longest)
        {
            throw new IOException($"a frame of {length} bytes");
        }

        var payload = new byte[length];
        stream.ReadExactly(payload);
        return ((Kind)header[0], payload);
    }

    /// <summary>Several pieces as one.</summary>
    public static byte[] Join(IReadOnlyList<byte[]> pieces)
    {
        using var memory = new MemoryStream();
        using var writer = new BinaryWriter(memory);
        foreach (var piece in pieces)
        {
            writer.Write(piece.Length);
            writer.Write(piece);
        }

        writer.Flush();
        return memory.ToArray();
    }

    /// <summary>The pieces again.</summary>
    public static byte[][] Split(byte[] joined, int count)
    {
        using var reader = new BinaryReader(new MemoryStream(joined));
        return [.. Enumerable.Range(0, count).Select(_ => reader.ReadBytes(reader.ReadInt32()))];
    }
}
