using System.Security.Cryptography;
using System.Text;
using NablaGen.Files;

namespace NablaGen.Weights;

/// <summary>
/// A short name for a set of weights, for a video's recipe: the same files give the same hash on every machine and in
/// every folder. It tells models apart; it does not prove that every byte is intact, because it only samples large files
/// (60 GB take a second, not minutes).
/// </summary>
/// <remarks>
/// SHA-256 over, file by file in the order of their names: the name without its folder, the length, and the contents. Of a
/// file above 64 MiB: the first 4 MiB, where a checkpoint has its header, then 59 blocks of 1 MiB at equal distances, the
/// last of them the file's end. The hash is the first 16 hexadecimal digits.
/// </remarks>
public static class ModelHash
{
    private const long WholeBytes = 64L << 20;
    private const int HeadBytes = 4 << 20;
    private const int BlockBytes = 1 << 20;
    private const int Blocks = 59;

    /// <summary>The hash of files.</summary>
    /// <param name="files">The files.</param>
    /// <param name="cancellation">Stops the reading.</param>
    /// <returns>16 lower-case hexadecimal digits.</returns>
    /// <exception cref="NablaGenException">A file can't be read.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static string Compute(IEnumerable<string> files, CancellationToken cancellation = default)
    {
        void Append(IncrementalHash hash, MappedFile file, long start, long count, byte[] buffer)
        {
            for (long done = 0; done < count; done += buffer.Length)
            {
                cancellation.ThrowIfCancellationRequested();
                var piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, count - done));
                file.Read(start + done, piece);
                hash.AppendData(piece);
            }
        }

        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[BlockBytes];
        foreach (var path in files.OrderBy(Path.GetFileName, StringComparer.Ordinal))
        {
            using var file = MappedFile.Open(path);
            // The length of the name ends it, so that no two lists of files give the same bytes.
            var name = Encoding.UTF8.GetBytes(Path.GetFileName(path));
            hash.AppendData(BitConverter.GetBytes((long)name.Length));
            hash.AppendData(name);
            hash.AppendData(BitConverter.GetBytes(file.Length));
            if (file.Length <= WholeBytes)
            {
                Append(hash, file, 0, file.Length, buffer);
                continue;
            }

            Append(hash, file, 0, HeadBytes, buffer);
            var last = file.Length - BlockBytes;
            for (var block = 1; block <= Blocks; block++)
            {
                // Divided first, so that no length overflows.
                Append(hash, file, block == Blocks ? last : HeadBytes + ((last - HeadBytes) / Blocks * block), BlockBytes, buffer);
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset())[..16];
    }
}
