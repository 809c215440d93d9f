using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace NablaGen.Files;

/// <summary>Says what a file is that a reader could not read: what often lies under the name of weights and is none.</summary>
internal static partial class FileKind
{
    /// <summary>What a <c>.pth</c> file is.</summary>
    public const string ZipArchive = "a zip archive, as .pth files are since PyTorch 1.6";

    // What an unfinished download, a clone without Git LFS or a renamed file begins with.
    private const int HeadBytes = 512;

    private static readonly (byte[] Start, string Is)[] Starts =
    [
        ("GGUF"u8.ToArray(), "a GGUF file"),
        ("PK\u0003\u0004"u8.ToArray(), ZipArchive),
        ([0x80, 0x02, 0x8A, 0x0A], "a .pth file of PyTorch before 1.6"),
        ([0x1F, 0x8B], "a file compressed with gzip"),
        ([0x28, 0xB5, 0x2F, 0xFD], "a file compressed with Zstandard"),
        ([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], "a 7z archive"),
        ([0x89, 0x48, 0x44, 0x46], "an HDF5 file"),
        ([0x89, 0x50, 0x4E, 0x47], "a PNG picture"),
        ("%PDF"u8.ToArray(), "a PDF document"),
        ([0xFF, 0xD8, 0xFF], "a JPEG picture"),
        ([0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'], "a NumPy array"),
    ];

    /// <summary>What a file is by what it begins with; null where that is not known.</summary>
    /// <param name="head">The file's first bytes, the more of the first 512 the better.</param>
    /// <param name="length">Bytes of the file.</param>
    public static Found? Describe(ReadOnlySpan<byte> head, long length)
    {
        if (length == 0)
        {
            return new Found("an empty file", "");
        }

        if (head.Length >= 16 && head.IndexOfAnyExcept((byte)0) < 0)
        {
            return new Found("a file that begins with zeros", ": a download that took its place on the disk and was not finished; download it again");
        }

        var text = Encoding.UTF8.GetString(head).TrimStart('\uFEFF', ' ', '\t', '\r', '\n');
        if (text.StartsWith("version https://git-lfs", StringComparison.Ordinal))
        {
            var size = PointerSize().Match(text);
            var stands = size.Success && long.TryParse(size.Groups[1].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes)
                ? $"a file of {bytes} bytes"
                : "the file";
            return new Found("a Git LFS pointer", $", which stands for {stands}: run 'git lfs pull' in the clone, or download the file itself");
        }

        if (IsMarkup(text))
        {
            return new Found("a web page", ", as a server sends in place of a file that needs a login or has moved: download the file itself");
        }

        foreach (var (start, what) in Starts)
        {
            if (head.StartsWith(start))
            {
                return new Found(what, "");
            }
        }

        // An MP4 and its kin begin with the length of their first part.
        if (head.Length >= 8 && head[4..8].SequenceEqual("ftyp"u8))
        {
            return new Found("a video", "");
        }

        return IsSafetensors(head) ? new Found("a safetensors file", "") : text.StartsWith('{') ? new Found("JSON text", "") : null;
    }

    /// <summary>The same of a file on disk; null also where it cannot be read.</summary>
    public static Found? Describe(string path)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1);
            var head = new byte[HeadBytes];
            return Describe(head.AsSpan(0, stream.ReadAtLeast(head, HeadBytes, throwOnEndOfStream: false)), stream.Length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            return null;
        }
    }

    /// <summary>An error about a file that is not what a reader expects: what it is where that is known, else the reader's own words.</summary>
    /// <param name="path">The file.</param>
    /// <param name="expected">What was expected, such as "a safetensors file".</param>
    /// <param name="otherwise">The reader's own words, which begin with the path.</param>
    /// <param name="inner">The reader's error.</param>
    public static NablaGenException Error(string path, string expected, string otherwise, Exception? inner = null) =>
        new(Line.Of(Describe(path) is { } found && found.Is != expected ? $"{path}: is {found.Is}, not {expected}{found.Advice}." : otherwise), inner);

    private static bool IsMarkup(string text) =>
        text.StartsWith("<!doctype", StringComparison.OrdinalIgnoreCase) || text.StartsWith("<html", StringComparison.OrdinalIgnoreCase)
        || text.StartsWith("<?xml", StringComparison.OrdinalIgnoreCase) || text.StartsWith("<head", StringComparison.OrdinalIgnoreCase);

    private static bool IsSafetensors(ReadOnlySpan<byte> head) =>
        head.Length > 9 && BinaryPrimitives.ReadUInt64LittleEndian(head) < 1u << 30 && head[8] == (byte)'{' && head[9] == (byte)'"';

    /// <summary>What was found.</summary>
    /// <param name="Is">As after "is": "a web page".</param>
    /// <param name="Advice">What else to say, with the sign before it; may be empty.</param>
    public readonly record struct Found(string Is, string Advice);

    [GeneratedRegex(@"^size (\d{1,18})\b", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex PointerSize();
}
