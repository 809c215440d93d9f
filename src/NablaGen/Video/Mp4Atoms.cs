using System.Buffers.Binary;
using System.Text;

namespace NablaGen.Video;

/// <summary>The top-level atoms of an MP4 file: what stands where, without reading the film itself.</summary>
internal static class Mp4Atoms
{
    // Before its film a file has a handful; one of nothing but empty atoms has millions.
    private const int MostAtoms = 1000;

    /// <summary>Whether a player can start before it has the whole file: moov (the index) stands before mdat (the film).</summary>
    public static bool IsFastStart(string path)
    {
        var hasIndex = false;
        foreach (var name in Names(path).Take(MostAtoms))
        {
            if (name == "mdat")
            {
                return hasIndex;
            }

            hasIndex |= name == "moov";
        }

        return false;
    }

    // In file order, up to the first that is damaged or reaches past the file's end.
    private static IEnumerable<string> Names(string path)
    {
        using var file = File.OpenRead(path);
        var header = new byte[16];
        for (long position = 0; position + 8 <= file.Length;)
        {
            file.Position = position;
            var read = file.ReadAtLeast(header, 16, throwOnEndOfStream: false);
            long size = BinaryPrimitives.ReadUInt32BigEndian(header);
            // 0: up to the file's end. 1: the size is 64 bits and follows.
            size = size == 0 ? file.Length - position
                : size == 1 && read == 16 ? BinaryPrimitives.ReadInt64BigEndian(header.AsSpan(8))
                : size;
            if (size < 8 || size > file.Length - position)
            {
                break;
            }

            yield return Encoding.ASCII.GetString(header, 4, 4);
            position += size;
        }
    }
}
