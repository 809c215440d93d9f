using System.Buffers.Binary;
using System.Text;

namespace NablaGen.Video.Pictures;

/// <summary>
/// Looks over a PNG's chunks before ImageSharp reads it, which has no limit of its own for texts and what they unpack to: a few kilobytes
/// could take gigabytes. Only lengths and names are read here. Chunks: https://www.w3.org/TR/png-3/#5Chunk-layout.
/// </summary>
internal static class PngGuard
{
    // A recipe with the longest prompt and a threshold for each head has some ten thousand bytes.
    private const long MaxTextBytes = 4 << 20;

    // Deflate packs a thousand to one at most.
    private const long MaxPackedTextBytes = 32 << 10;

    // A profile of colours is a table of some size.
    private const long MaxProfileBytes = 4 << 20;
    private const int MaxChunks = 100_000;
    private const int MaxTexts = 1_000;

    private static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0d, 0x0a, 0x1a, 0x0a];

    /// <summary>Checks a file from its start. False: it is no PNG.</summary>
    /// <exception cref="NablaGenException">It is cut off, or holds too much beside its pixels.</exception>
    public static bool Check(string path, Stream file)
    {
        Span<byte> head = stackalloc byte[8];
        file.Position = 0;
        if (file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false) < head.Length || !head.SequenceEqual(Signature))
        {
            return false;
        }

        var (chunks, texts, plain, packed, profile) = (0, 0, 0L, 0L, 0L);
        for (var type = ""; type != "IEND"; chunks++)
        {
            if (file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false) < head.Length)
            {
                throw new NablaGenException($"{path}: a PNG that is cut off");
            }

            var next = file.Position + BinaryPrimitives.ReadUInt32BigEndian(head) + 4L;
            type = Encoding.Latin1.GetString(head[4..]);
            if (next > file.Length)
            {
                throw new NablaGenException($"{path}: a PNG that is cut off");
            }

            var length = next - file.Position - 4;
            if (type is "tEXt" or "zTXt" or "iTXt" or "eXIf")
            {
                texts++;
                plain += length;
                packed += type == "zTXt" || (type == "iTXt" && IsPacked(file, length)) ? length : 0;
            }
            else if (type == "iCCP")
            {
                profile += length;
            }

            if (texts > MaxTexts || plain > MaxTextBytes || packed > MaxPackedTextBytes || profile > MaxProfileBytes || chunks > MaxChunks)
            {
                throw new NablaGenException($"{path}: the PNG holds more text, or more parts, than a picture has: it is not read");
            }

            file.Position = next;
        }

        return true;
    }

    // iTXt: keyword (at most 79), NUL, a byte that says whether the text is compressed.
    private static bool IsPacked(Stream file, long length)
    {
        Span<byte> start = stackalloc byte[81];
        start = start[..(int)Math.Min(start.Length, length)];
        file.ReadExactly(start);
        var end = start.IndexOf((byte)0);
        return end < 0 || end + 1 >= start.Length || start[end + 1] != 0;
    }
}
