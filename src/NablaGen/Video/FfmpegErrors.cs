using System.Text.RegularExpressions;

namespace NablaGen.Video;

/// <summary>Collects what ffmpeg says on its error stream (at <c>-loglevel error</c>) and picks the line worth showing.</summary>
internal sealed partial class FfmpegErrors
{
    private readonly Lock _lock = new();
    private string? _last;

    /// <summary>The last line that names a cause, without the part of ffmpeg it came from; a stand-in where ffmpeg said nothing.</summary>
    public string Line
    {
        get
        {
            lock (_lock)
            {
                return _last ?? "it ended without saying why (killed, or crashed)";
            }
        }
    }

    public void Add(string? line)
    {
        var text = Origin().Replace(line ?? "", "").Trim();
        // What ffmpeg adds after the cause.
        if (text.Length == 0 || text == "Conversion failed!" || text.StartsWith("Last message repeated", StringComparison.Ordinal))
        {
            return;
        }

        lock (_lock)
        {
            _last = text;
        }
    }

    // "[mp4 @ 0x55d0c8a0] " in front of a message, once or more.
    [GeneratedRegex(@"^(\[[^\]]* @ [^\]]*\] )+")]
    private static partial Regex Origin();
}
