using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace NablaGen.Tests.Video;

/// <summary>Builds PNGs that no encoder writes.</summary>
internal static class PngBytes
{
    private const int HeaderEnd = 8 + 25;
    private const int EndLength = 12;

    /// <summary>The PNG with one more chunk: behind its header, or before its end.</summary>
    public static byte[] WithChunk(byte[] png, string type, ReadOnlySpan<byte> data, bool behind = false)
    {
        var at = behind ? png.Length - EndLength : HeaderEnd;
        return [.. png[..at], .. Chunk(type, data), .. png[at..]];
    }

    /// <summary>The PNG with another size in its header.</summary>
    public static byte[] WithSize(byte[] png, int width, int height)
    {
        var data = png[16..29];
        BinaryPrimitives.WriteInt32BigEndian(data, width);
        BinaryPrimitives.WriteInt32BigEndian(data.AsSpan(4), height);
        return [.. png[..8], .. Chunk("IHDR", data), .. png[HeaderEnd..]];
    }

    public static byte[] Packed(ReadOnlySpan<byte> bytes)
    {
        using var packed = new MemoryStream();
        using (var zlib = new ZLibStream(packed, CompressionLevel.Optimal))
        {
            zlib.Write(bytes);
        }

        return packed.ToArray();
    }

    private static byte[] Chunk(string type, ReadOnlySpan<byte> data)
    {
        var chunk = new byte[data.Length + 12];
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        Encoding.ASCII.GetBytes(type).CopyTo(chunk, 4);
        data.CopyTo(chunk.AsSpan(8));
        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(8 + data.Length), Crc(chunk.AsSpan(4, 4 + data.Length)));
        return chunk;
    }

    private static uint Crc(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var b in bytes)
        {
            crc ^= b;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
            }
        }

        return ~crc;
    }
}
