using System.Buffers.Binary;
using System.Text;

namespace NablaGen.Video;

/// <summary>The top-level atoms of an MP4 file: what stands where, without reading the film itself.</summary>
internal static class Mp4Atoms
{
    /// <summary>Whether a player can start before it has the whole file: moov (the index) stands before mdat (the film).</summary>
    public static bool IsFastStart(string path)
    {
        var names = Names(path);
        var index = names.IndexOf("moov");
        return index >= 0 && index < names.IndexOf("mdat");
    }

    // In file order, up to the first that is damaged or reaches past the file's end.
    private static List<string> Names(string path)
    {
        using var file = File.OpenRead(path);
        var names = new List<string>();
        Span<byte> header = stackalloc byte[16];
        for (long position = 0; position + 8 <= file.Length;)
        {
            file.Position = position;
            var read = file.ReadAtLeast(header, 16, throwOnEndOfStream: false);
            long size = BinaryPrimitives.ReadUInt32BigEndian(header);
            // 0: up to the file's end. 1: the size is 64 bits and follows.
            size = size == 0 ? file.Length - position
                : size == 1 && read == 16 ? BinaryPrimitives.ReadInt64BigEndian(header[8..])
                : size;
            if (size < 8 || size > file.Length - position)
            {
                break;
            }

            names.Add(Encoding.ASCII.GetString(header[4..8]));
            position += size;
        }

        return names;
    }
}
