using System.Buffers.Binary;
using System.Text;

namespace NablaGen.Video;

/// <summary>Puts text chunks into a PNG; Skia writes none. Chunks: https://www.w3.org/TR/png-3/#5Chunk-layout.</summary>
internal static class PngText
{
    // The signature (8 bytes) and IHDR (4 length, 4 type, 13 data, 4 CRC), after which a text may stand.
    private const int HeaderBytes = 8 + 25;

    public static void Write(Stream output, ReadOnlySpan<byte> png, IReadOnlyDictionary<string, string> text)
    {
        output.Write(png[..HeaderBytes]);
        foreach (var (keyword, value) in text)
        {
            WriteChunk(output, keyword, value);
        }

        output.Write(png[HeaderBytes..]);
    }

    // iTXt: keyword, NUL, compression flag and method (none), language, NUL, translated keyword, NUL, text.
    private static void WriteChunk(Stream output, string keyword, string text)
    {
        if (keyword.Length is < 1 or > 79 || keyword.Any(c => c is < ' ' or > '~'))
        {
            throw new ArgumentException($"A PNG keyword has 1 to 79 printable ASCII characters, found \"{keyword}\".", nameof(keyword));
        }

        // The CRC covers the type and the data.
        var chunk = Encoding.UTF8.GetBytes($"iTXt{keyword}\0\0\0\0\0{text}");
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, chunk.Length - 4);
        output.Write(number);
        output.Write(chunk);
        BinaryPrimitives.WriteUInt32BigEndian(number, Crc32(chunk));
        output.Write(number);
    }

    // CRC-32 as PNG and ZIP have it: reflected, polynomial 0x04C11DB7.
    private static uint Crc32(ReadOnlySpan<byte> bytes)
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
