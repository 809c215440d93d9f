using System.Globalization;
using NablaGen.Files;

namespace NablaGen.Cli;

/// <summary>
/// A run's log, appended to a file: a line is a UTC time, a kind and a text. Several runs may share a file. A log that can no longer be
/// written says so once and does not stop the run.
/// </summary>
internal sealed class RunLog : IDisposable
{
    private readonly Lock _lock = new();
    private readonly string _path;
    private StreamWriter? _writer;

    /// <exception cref="NablaGenException">The file cannot be opened.</exception>
    public RunLog(string path)
    {
        _path = path;
        try
        {
            var full = Path.GetFullPath(path);
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            _writer = new StreamWriter(new FileStream(full, FileMode.Append, FileAccess.Write, FileShare.ReadWrite)) { AutoFlush = true, NewLine = "\n" };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new NablaGenException($"{path}: the log cannot be written: {e.Message}", e);
        }
    }

    /// <summary>Adds a line; further lines of a text are indented.</summary>
    public void Write(string kind, string text)
    {
        var time = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
        lock (_lock)
        {
            try
            {
                _writer?.WriteLine($"{time} {kind,-8} {text.ReplaceLineEndings("\n").TrimEnd().Replace("\n", "\n    ")}");
            }
            catch (Exception e) when (e is ObjectDisposedException || OutputFile.IsOfFiles(e))
            {
                _writer = null;
                Console.Error.WriteLine($"nablagen: {_path}: the log ends here: {e.Message}");
            }
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            try
            {
                _writer?.Dispose();
            }
            catch (Exception e) when (OutputFile.IsOfFiles(e))
            {
                // Whatever does not fit any more: the run is over.
            }

            _writer = null;
        }
    }
}
