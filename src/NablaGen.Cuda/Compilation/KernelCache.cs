using System.Security.Cryptography;
using System.Text;

namespace NablaGen.Cuda.Compilation;

/// <summary>
/// Compiled kernels on disk. An entry's name is the SHA-256 of all that went into it (source, headers, options with the
/// architecture, compiler and version); its content carries its own SHA-256, so that a cut, corrupt or foreign file is noticed and
/// rebuilt. Entries are written aside and renamed: two processes may do the same work, neither sees half of the other's.
/// </summary>
internal sealed class KernelCache
{
    /// <summary>Names the cache's folder, instead of the user's own.</summary>
    public const string FolderVariable = "NABLAGEN_CACHE";

    private static readonly byte[] Magic = "NablaGen kernel 1\n"u8.ToArray();

    /// <summary>A cache in <paramref name="folder"/>, which need not exist yet.</summary>
    public KernelCache(string folder) => Folder = folder;

    /// <summary>Where the entries lie.</summary>
    public string Folder { get; }

    /// <summary>How often a kernel was compiled through this object.</summary>
    public int Compilations { get; private set; }

    /// <summary>
    /// The user's cache: NABLAGEN_CACHE if set, else XDG_CACHE_HOME/nablagen or ~/.cache/nablagen, on Windows
    /// %LOCALAPPDATA%\nablagen; kernels lie in its folder "kernels".
    /// </summary>
    public static KernelCache ForUser() => new(Path.Combine(UserFolder(Environment.GetEnvironmentVariable), "kernels"));

    /// <summary>See <see cref="ForUser"/>.</summary>
    internal static string UserFolder(Func<string, string?> environment)
    {
        if (environment(FolderVariable) is { Length: > 0 } folder)
        {
            return folder;
        }

        if (OperatingSystem.IsWindows())
        {
            return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData), "nablagen");
        }

        // The XDG specification: a relative path is to be ignored.
        if (environment("XDG_CACHE_HOME") is { Length: > 0 } cache && Path.IsPathRooted(cache))
        {
            return Path.Combine(cache, "nablagen");
        }

        var home = environment("HOME") is { Length: > 0 } own
            ? own
            : Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        return Path.Combine(home, ".cache", "nablagen");
    }

    /// <summary>The compiled kernel, from disk or compiled now. A cache that cannot be written is no error.</summary>
    /// <param name="compiler">Who compiles.</param>
    /// <param name="source">What.</param>
    /// <param name="options">The compiler's options, the architecture among them.</param>
    /// <param name="fresh">Compile even if there is an entry, and replace it: the driver refused what was there.</param>
    public byte[] Get(IKernelCompiler compiler, KernelSource source, IReadOnlyList<string> options, bool fresh = false)
    {
        var file = Path.Combine(Folder, $"{source.Name}-{Key(compiler, source, options)}.bin");
        if (!fresh && Read(file) is { } image)
        {
            return image;
        }

        image = compiler.Compile(source, options);
        Compilations++;
        Write(file, image);
        return image;
    }

    /// <summary>
    /// SHA-256 over everything that decides the result, each part with its length so that no two sets of parts look alike.
    /// </summary>
    internal static string Key(IKernelCompiler compiler, KernelSource source, IReadOnlyList<string> options)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        void Add(string part)
        {
            var bytes = Encoding.UTF8.GetBytes(part);
            hash.AppendData(BitConverter.GetBytes(bytes.Length));
            hash.AppendData(bytes);
        }

        Add(compiler.Identity);
        Add(source.Name);
        Add(source.Text);
        foreach (var (name, text) in source.Headers)
        {
            Add(name);
            Add(text);
        }

        foreach (var option in options)
        {
            Add(option);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static byte[]? Read(string file)
    {
        byte[] content;
        try
        {
            content = File.ReadAllBytes(file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        var start = Magic.Length + SHA256.HashSizeInBytes;
        if (content.Length <= start || !content.AsSpan(0, Magic.Length).SequenceEqual(Magic))
        {
            return null;
        }

        var image = content[start..];
        return SHA256.HashData(image).AsSpan().SequenceEqual(content.AsSpan(Magic.Length, SHA256.HashSizeInBytes)) ? image : null;
    }

    private void Write(string file, byte[] image)
    {
        var aside = Path.Combine(Folder, $".{Guid.NewGuid():N}.partial");
        try
        {
            Directory.CreateDirectory(Folder);
            using (var stream = File.Create(aside))
            {
                stream.Write(Magic);
                stream.Write(SHA256.HashData(image));
                stream.Write(image);
            }

            File.Move(aside, file, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // A full disk, a read-only folder, or (Windows) another process reading the entry it has just written: we have the image.
            try
            {
                File.Delete(aside);
            }
            catch (Exception again) when (again is IOException or UnauthorizedAccessException)
            {
            }
        }
    }
}
