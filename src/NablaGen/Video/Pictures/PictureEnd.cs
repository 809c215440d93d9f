using System.Buffers.Binary;

namespace NablaGen.Video.Pictures;

/// <summary>
/// Looks whether a JPEG, WebP or BMP is whole: ImageSharp fills what is missing with grey or black and says nothing. A PNG's end is
/// <see cref="PngGuard"/>'s matter. JPEG's markers: ITU-T T.81, annex B.
/// </summary>
internal static class PictureEnd
{
    /// <summary>Checks a file from its start; other formats pass.</summary>
    /// <exception cref="NablaGenException">It is cut off.</exception>
    public static void Check(string path, Stream file)
    {
        Span<byte> head = stackalloc byte[12];
        file.Position = 0;
        head = head[..file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
        var format = head switch
        {
            [0xff, 0xd8, ..] => HasEnd(file) ? null : "JPEG",
            [(byte)'R', (byte)'I', (byte)'F', (byte)'F', _, _, _, _, (byte)'W', (byte)'E', (byte)'B', (byte)'P'] => Length(head[4..]) + 8 <= file.Length ? null : "WebP",
            [(byte)'B', (byte)'M', _, _, _, _, ..] => Length(head[2..]) <= file.Length ? null : "BMP",
            _ => null,
        };
        if (format is not null)
        {
            throw new NablaGenException($"{path}: a {format} that is cut off");
        }
    }

    private static long Length(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt32LittleEndian(bytes);

    // Whether the marker of the end is met, outside of segments, whose bytes may be anything (a thumbnail is a JPEG itself).
    private static bool HasEnd(Stream file)
    {
        file.Position = 2;
        while (true)
        {
            int one;
            while ((one = file.ReadByte()) is not (0xff or -1))
            {
            }

            // A marker may have any number of bytes of ones before it.
            while (one == 0xff)
            {
                one = file.ReadByte();
            }

            switch (one)
            {
                case -1:
                    return false;
                case 0xd9:
                    return true;
                case 0 or 1 or (>= 0xd0 and <= 0xd8):
                    // A byte of the data, or a marker that stands alone.
                    continue;
                default:
                    var length = (file.ReadByte() << 8) | file.ReadByte();
                    if (length < 2 || file.Position + length - 2 > file.Length)
                    {
                        return false;
                    }

                    file.Position += length - 2;
                    continue;
            }
        }
    }
}
