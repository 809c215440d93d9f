using System.Collections.Concurrent;
using System.Text.RegularExpressions;

namespace NablaGen.Files;

/// <summary>A file to be written: checked before the work, written aside, renamed at the end, so that no half file bears a final name.</summary>
internal static partial class OutputFile
{
    private static readonly ConcurrentDictionary<string, bool> InWork = new();
    private static int _count;

    /// <summary>Checks the ending, creates the folder and checks that a file can be created in it. Returns the full path.</summary>
    /// <exception cref="NablaGenException">The ending is another, the path is a folder, or nothing can be written there.</exception>
    public static string Prepare(string path, string extension)
    {
        if (!Path.GetExtension(path).Equals(extension, StringComparison.OrdinalIgnoreCase))
        {
            throw new NablaGenException($"{path}: the name of the output must end in {extension}");
        }

        if (Directory.Exists(path))
        {
            throw new NablaGenException($"{path}: this is a folder, expected the name of a file to write");
        }

        try
        {
            var full = Path.GetFullPath(path);
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            RemoveAbandoned(Path.GetDirectoryName(full)!, Path.GetFileName(full));
            var trial = Aside(full);
            File.Create(trial, 1, FileOptions.DeleteOnClose).Dispose();
            InWork.TryRemove(trial, out _);
            return full;
        }
        catch (Exception e) when (IsOfFiles(e))
        {
            throw new NablaGenException($"{path}: cannot be written: {FileAbove(path) ?? Line.Of(e.Message)}", e);
        }
    }

    // The system says of it that it exists already.
    private static string? FileAbove(string path)
    {
        for (var folder = Path.GetDirectoryName(path); !string.IsNullOrEmpty(folder); folder = Path.GetDirectoryName(folder))
        {
            if (Path.Exists(folder))
            {
                return Directory.Exists(folder) ? null : $"{Line.Of(folder)} is not a folder";
            }
        }

        return null;
    }

    /// <summary>A name of its own beside the target, so that two runs that write the same file cannot mix. It says whose it is.</summary>
    public static string Aside(string target)
    {
        var partial = $"{target}.{ProcessIdentity.Token}-{Interlocked.Increment(ref _count):x}.partial";
        InWork[partial] = true;
        return partial;
    }

    /// <summary>Removes all that this process has aside, where it ends without going on.</summary>
    public static void DiscardAll()
    {
        foreach (var partial in InWork.Keys)
        {
            Discard(partial);
        }
    }

    /// <summary>Removes what processes have left aside that were killed; what a living one writes, or one elsewhere, stays.</summary>
    /// <param name="folder">Where to look.</param>
    /// <param name="target">The file's name; null for all files.</param>
    public static void RemoveAbandoned(string folder, string? target = null)
    {
        try
        {
            foreach (var path in Directory.EnumerateFiles(folder, "*.partial"))
            {
                if (AsideName().Match(Path.GetFileName(path)) is { Success: true } name
                    && (target is null || name.Groups["target"].Value == target) && ProcessIdentity.HasEnded(name.Groups["token"].Value))
                {
                    Discard(path);
                }
            }
        }
        catch (Exception e) when (IsOfFiles(e))
        {
            // Litter: what matters is whether something can be written, and that is tried.
        }
    }

    /// <summary>
    /// Gives the finished file its name, over one that has it, once its contents are on the disk: after a power cut a name never stands on
    /// an empty file.
    /// </summary>
    /// <exception cref="NablaGenException">It cannot be renamed (on Windows: the old one is open in a player); it is kept, and the message says where.</exception>
    public static void Rename(string partial, string target)
    {
        try
        {
            // Written by another program, perhaps: flushing any handle flushes the file.
            using (var file = File.OpenHandle(partial, FileMode.Open, FileAccess.ReadWrite))
            {
                RandomAccess.FlushToDisk(file);
            }
        }
        catch (Exception e) when (IsOfFiles(e))
        {
            throw new NablaGenException($"{target}: cannot be written to the disk ({e.Message}); the file so far is {partial}", e);
        }

        try
        {
            File.Move(partial, target, overwrite: true);
            InWork.TryRemove(partial, out _);
        }
        catch (Exception e) when (IsOfFiles(e))
        {
            InWork.TryRemove(partial, out _);
            throw new NablaGenException($"{target}: cannot be replaced ({e.Message}); the finished file is {partial}", e);
        }
    }

    /// <summary>Deletes what was written aside; a file that is not there, or cannot be deleted, is left.</summary>
    public static void Discard(string partial)
    {
        try
        {
            InWork.TryRemove(partial, out _);
            File.Delete(partial);
        }
        catch (Exception e) when (IsOfFiles(e))
        {
            // The run has failed or was cancelled already: this must not hide why.
        }
    }

    /// <summary>Writes a whole file aside and renames it, over one that has the name; its folder is made.</summary>
    /// <exception cref="NablaGenException">It cannot be written; what was written so far is removed.</exception>
    public static void Write(string path, Action<FileStream> write)
    {
        var target = Path.GetFullPath(path);
        var partial = Aside(target);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            using (var file = new FileStream(partial, FileMode.Create, FileAccess.Write, FileShare.None, 1))
            {
                write(file);
                file.Flush(flushToDisk: true);
            }
        }
        catch (Exception e)
        {
            Discard(partial);
            if (EnvironmentFault.IsTooLarge(e))
            {
                throw new NablaGenException($"{path}: cannot be written: File too large (a limit on the size of files)", e);
            }

            if (e is IOException or UnauthorizedAccessException)
            {
                throw new NablaGenException($"{path}: cannot be written: {Line.Of(e.Message)}", e);
            }

            throw;
        }

        Rename(partial, target);
    }

    /// <summary>Whether an error is the file system's, or that of a name it cannot have.</summary>
    public static bool IsOfFiles(Exception e) =>
        e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException;

    [GeneratedRegex(@"^(?<target>.+)\.(?<token>[0-9a-f]{8}-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+)\.partial$")]
    private static partial Regex AsideName();
}
