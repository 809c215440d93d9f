using System.Text;
using NablaGen.Files;

namespace NablaGen.Video;

/// <summary>
/// The file that ffmpeg reads a video's tags from: a command line could not hold them, and anyone on the machine could read it. It lies
/// beside the video under a name that is tidied up like a partial video's, and is there only until ffmpeg has read it.
/// </summary>
internal sealed class TagsFile : IDisposable
{
    private bool _isGone;

    private TagsFile(string path) => Path = path;

    /// <summary>Full path of the file.</summary>
    public string Path { get; }

    /// <summary>Whether somebody else has removed it.</summary>
    public bool WasTaken => !_isGone && !File.Exists(Path);

    /// <summary>Writes the file, for its owner alone.</summary>
    /// <param name="path">Full path of the file.</param>
    /// <param name="tags">The tags.</param>
    /// <exception cref="NablaGenException">It cannot be written.</exception>
    public static TagsFile Write(string path, IReadOnlyDictionary<string, string> tags)
    {
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }

            using var file = new FileStream(path, options);
            file.Write(Encoding.UTF8.GetBytes(FfmpegText.Metadata(tags)));
            return new TagsFile(path);
        }
        catch (Exception e) when (OutputFile.IsOfFiles(e))
        {
            OutputFile.Discard(path);
            throw new NablaGenException($"{path}: cannot be written: {e.Message}", e);
        }
    }

    /// <summary>Removes the file once ffmpeg has opened its output, which it does after it has read the heads of all its inputs.</summary>
    public void DiscardOnceRead(string output)
    {
        if (!_isGone && File.Exists(output))
        {
            Dispose();
        }
    }

    /// <summary>Removes the file.</summary>
    public void Dispose()
    {
        if (!_isGone)
        {
            OutputFile.Discard(Path);
            _isGone = true;
        }
    }
}
