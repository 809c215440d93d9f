namespace NablaGen.Checkpoints;

/// <summary>Writes a file under <c>.partial</c> and renames it when it is whole, so that no half file bears a final name.</summary>
internal static class AsideFile
{
    /// <summary>Writes a file, in place of an existing one.</summary>
    /// <exception cref="NablaGenException">It can't be written; what was written so far is removed.</exception>
    public static void Write(string path, Action<FileStream> write)
    {
        var partial = path + ".partial";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            using (var file = new FileStream(partial, FileMode.Create, FileAccess.Write, FileShare.None, 1))
            {
                write(file);
                file.Flush(flushToDisk: true);
            }

            File.Move(partial, path, overwrite: true);
        }
        catch (Exception e)
        {
            Remove(partial);
            if (e is IOException or UnauthorizedAccessException)
            {
                throw new NablaGenException(Line.Of($"{path}: can't be written: {e.Message}"), e);
            }

            throw;
        }
    }

    private static void Remove(string partial)
    {
        try
        {
            File.Delete(partial);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The first error is the one to tell.
        }
    }
}
