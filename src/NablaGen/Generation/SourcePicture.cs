using System.Globalization;
using System.Security.Cryptography;
using NablaGen.Video;
using NablaGen.Video.Pictures;

namespace NablaGen.Generation;

/// <summary>
/// A picture that a video begins or ends with: a file, or the last frame of a video (<c>last-frame-of:FILE</c>). Two are equal where their files
/// have the same bytes, whatever they are called.
/// </summary>
public sealed class SourcePicture : IEquatable<SourcePicture>
{
    /// <summary>What the name of a video's last frame begins with.</summary>
    public const string LastFrameOf = "last-frame-of:";

    private static readonly HashSet<string> VideoEndings = new([".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif"], StringComparer.OrdinalIgnoreCase);

    private SourcePicture(string name, string sha256, int width, int height) => (Name, Sha256, Width, Height) = (name, sha256, width, height);

    /// <summary>The name as the user gave it.</summary>
    public string Name { get; }

    /// <summary>The hash of the file's bytes, in hexadecimal digits: of a video's where it is a frame of one.</summary>
    public string Sha256 { get; }

    /// <summary>Width in pixels, the right way up; 0 where only a recipe names it.</summary>
    public int Width { get; }

    /// <summary>Height in pixels, the right way up; 0 where only a recipe names it.</summary>
    public int Height { get; }

    /// <summary>Whether the user named it for this video. What only a recipe names is not opened: a recipe may be anyone's.</summary>
    public bool IsNamed => Width > 0;

    /// <summary>The start of the hash, for messages.</summary>
    public string ShortHash => Sha256[..Math.Min(12, Sha256.Length)];

    private bool IsFrame => Name.StartsWith(LastFrameOf, StringComparison.Ordinal);

    private string Path => IsFrame ? Name[LastFrameOf.Length..] : Name;

    /// <summary>Looks at a picture that the user names: its size and its hash; pixels are read later.</summary>
    /// <exception cref="NablaGenException">There is no such file, it is no picture (or no video) that can be read, or it is too large.</exception>
    public static SourcePicture Open(string name)
    {
        var probe = new SourcePicture(name, "", 0, 0);
        if (probe.Path.Length == 0)
        {
            throw new InvalidRequestException($"a picture's name is empty: expected a file, or {LastFrameOf} and a video");
        }

        var (width, height) = probe.IsFrame ? SizeOfVideo(probe.Path) : SizeOfPicture(probe.Path);
        return new SourcePicture(name, Hash(probe.Path), width, height);
    }

    /// <summary>What a recipe says of a picture; nothing is opened.</summary>
    public static SourcePicture Recorded(string name, string sha256) => new(name, sha256, 0, 0);

    /// <summary>Reads the pixels.</summary>
    /// <exception cref="NablaGenException">The file cannot be read any more, or has changed.</exception>
    public Picture Load()
    {
        if (!IsNamed)
        {
            throw new InvalidOperationException($"{Name} is named by a recipe alone");
        }

        var hash = Hash(Path);
        return hash == Sha256
            ? IsFrame ? VideoFrames.Last(Path) : PictureFile.Load(Path)
            : throw new NablaGenException(string.Create(CultureInfo.InvariantCulture, $"{Path}: has changed since the work began"));
    }

    /// <inheritdoc/>
    public bool Equals(SourcePicture? other) => other is not null && Sha256 == other.Sha256 && IsFrame == other.IsFrame;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as SourcePicture);

    /// <inheritdoc/>
    public override int GetHashCode() => Sha256.GetHashCode(StringComparison.Ordinal);

    /// <inheritdoc/>
    public override string ToString() => $"{Name} ({ShortHash})";

    private static (int Width, int Height) SizeOfPicture(string path)
    {
        try
        {
            var info = PictureFile.Identify(path);
            return (info.Width, info.Height);
        }
        catch (NablaGenException error) when (VideoEndings.Contains(System.IO.Path.GetExtension(path)) && File.Exists(path))
        {
            throw new NablaGenException($"{error.Message}; a video's last frame is named {LastFrameOf}{path}", error);
        }
    }

    private static (int Width, int Height) SizeOfVideo(string path)
    {
        var info = VideoProbe.Read(path);
        return (info.Width, info.Height);
    }

    private static string Hash(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            return Convert.ToHexStringLower(SHA256.HashData(file));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new NablaGenException($"{path}: cannot be read: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }
}
