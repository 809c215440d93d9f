namespace NablaGen.Files;

/// <summary>Reads a stranger's text whole, up to a limit: a pipe or a device may never end.</summary>
internal static class WholeText
{
    /// <summary>The most bytes of a list of prompts, a prompt or a recipe; a list of a million long prompts has fewer.</summary>
    public const int MostBytes = 1 << 28;

    private const int PieceBytes = 1 << 16;

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="most">The most bytes that it may have.</param>
    /// <exception cref="NablaGenException">It is not there, cannot be read or is longer.</exception>
    public static byte[] Read(string path, int most = MostBytes)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1);
            return Read(file, path, most);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new NablaGenException($"{path}: no such file", error);
        }
        catch (Exception error) when (OutputFile.IsOfFiles(error))
        {
            throw new NablaGenException($"{path}: cannot be read: {Line.Of(error.Message)}", error);
        }
    }

    /// <summary>Reads a stream to its end.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="name">Its name, for the message.</param>
    /// <param name="most">The most bytes that it may have.</param>
    /// <exception cref="NablaGenException">It has more.</exception>
    public static byte[] Read(Stream stream, string name, int most = MostBytes)
    {
        using var whole = new MemoryStream();
        var piece = new byte[PieceBytes];
        for (int read; (read = stream.Read(piece)) > 0;)
        {
            if (whole.Length + read > most)
            {
                throw new NablaGenException($"{name}: is too long for text: expected at most {most} bytes");
            }

            whole.Write(piece, 0, read);
        }

        return whole.ToArray();
    }
}
