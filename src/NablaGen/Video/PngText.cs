using System.Buffers.Binary;
using System.Text;

namespace NablaGen.Video;

/// <summary>Puts text chunks into a PNG and reads them; Skia does neither. Chunks: https://www.w3.org/TR/png-3/#5Chunk-layout.</summary>
internal static class PngText
{
    // The signature (8 bytes) and IHDR (4 length, 4 type, 13 data, 4 CRC), after which a text may stand.
    private const int HeaderBytes = 8 + 25;

    // A recipe with the longest prompt has some thousands.
    private const int MaxTextBytes = 16 << 20;

    private static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0d, 0x0a, 0x1a, 0x0a];

    /// <summary>Copies a PNG with text chunks behind its header.</summary>
    public static void Write(Stream output, ReadOnlySpan<byte> png, IReadOnlyDictionary<string, string> text)
    {
        output.Write(png[..HeaderBytes]);
        foreach (var (keyword, value) in text)
        {
            WriteChunk(output, keyword, value);
        }

        output.Write(png[HeaderBytes..]);
    }

    /// <summary>The text chunks (iTXt, not compressed) by keyword; empty for a file that is no PNG.</summary>
    /// <exception cref="NablaGenException">It cannot be read, or is cut off.</exception>
    public static IReadOnlyDictionary<string, string> Read(string path)
    {
        var text = new Dictionary<string, string>();
        try
        {
            using var file = File.OpenRead(path);
            Span<byte> head = stackalloc byte[8];
            file.ReadExactly(head);
            if (!head.SequenceEqual(Signature))
            {
                return text;
            }

            // Length and type; data; CRC.
            for (var type = ""; type != "IEND";)
            {
                file.ReadExactly(head);
                var length = BinaryPrimitives.ReadUInt32BigEndian(head);
                type = Encoding.ASCII.GetString(head[4..]);
                if (type == "iTXt" && length <= MaxTextBytes)
                {
                    var chunk = new byte[length];
                    file.ReadExactly(chunk);
                    AddText(text, chunk);
                    length = 0;
                }

                file.Seek(length + 4L, SeekOrigin.Current);
            }

            return text;
        }
        catch (EndOfStreamException e)
        {
            throw new NablaGenException($"{path}: a PNG that is cut off", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NablaGenException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    private static void AddText(Dictionary<string, string> text, ReadOnlySpan<byte> chunk)
    {
        var keyword = chunk.IndexOf((byte)0);
        // Behind the keyword: compression flag and method, language, translated keyword.
        if (keyword < 0 || keyword + 3 > chunk.Length || chunk[keyword + 1] != 0)
        {
            return;
        }

        var rest = chunk[(keyword + 3)..];
        for (var skip = 0; skip < 2; skip++)
        {
            rest = rest[(rest.IndexOf((byte)0) + 1)..];
        }

        text[Encoding.UTF8.GetString(chunk[..keyword])] = Encoding.UTF8.GetString(rest);
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
