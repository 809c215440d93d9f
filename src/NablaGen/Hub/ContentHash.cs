using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace NablaGen.Hub;

/// <summary>
/// What a file's bytes hash to. A hub knows large files by the SHA-256 of their bytes (Git LFS), and small ones by Git's own name of them: the SHA-1
/// of the word blob, their length and their bytes.
/// </summary>
/// <param name="Hex">The hash in hexadecimal digits.</param>
internal sealed record ContentHash(string Hex)
{
    private const int Sha256Digits = 64;
    private const int Sha1Digits = 40;
    private const int Block = 1 << 20;

    /// <summary>The hash's name.</summary>
    public string Name => Hex.Length == Sha256Digits ? "SHA-256" : "Git SHA-1";

    /// <summary>A hash as a hub writes it; null where a text is none.</summary>
    public static ContentHash? Parse(string? hex) =>
        hex?.Length is Sha256Digits or Sha1Digits && hex.All(char.IsAsciiHexDigit) ? new ContentHash(hex.ToLowerInvariant()) : null;

    /// <summary>Hashes a file on disk the same way.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cancellation">Stops the work.</param>
    public ContentHash Of(string path, CancellationToken cancellation)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        using var hash = IncrementalHash.CreateHash(Hex.Length == Sha256Digits ? HashAlgorithmName.SHA256 : HashAlgorithmName.SHA1);
        if (Hex.Length == Sha1Digits)
        {
            hash.AppendData(Encoding.ASCII.GetBytes($"blob {file.Length.ToString(CultureInfo.InvariantCulture)}\0"));
        }

        var buffer = new byte[Block];
        while (file.Read(buffer) is > 0 and var read)
        {
            cancellation.ThrowIfCancellationRequested();
            hash.AppendData(buffer, 0, read);
        }

        return new ContentHash(Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    /// <summary>The hash, in short.</summary>
    public override string ToString() => $"{Name} {Hex[..12]}…";
}
