using System.Text.RegularExpressions;

namespace NablaGen.Video;

/// <summary>Keeps what ffmpeg says on its error stream (at <c>-loglevel error</c>) and finds the line that tells why it failed.</summary>
internal sealed partial class FfmpegErrors
{
    private const int MaxLines = 200;
    private const int MaxLineLength = 500;

    private readonly Lock _lock = new();
    private readonly Queue<string> _lines = new();
    private string? _line;
    private Rank _rank;

    // From what says least of the cause to what says most.
    private enum Rank
    {
        // "Error initializing output stream 0:0 --": that something failed, after the line that says what.
        Consequence,
        Message,
        // It ends as the system words an error: "No space left on device".
        SystemError,
    }

    /// <summary>The line that tells the cause, without the part of ffmpeg that it came from; null where ffmpeg said nothing.</summary>
    public string? Line
    {
        get
        {
            lock (_lock)
            {
                return _line;
            }
        }
    }

    /// <summary>The last lines, in order, as they came.</summary>
    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (_lock)
            {
                return [.. _lines];
            }
        }
    }

    public void Add(string? line)
    {
        var text = Files.Line.Of(line is { Length: > MaxLineLength } ? line[..MaxLineLength] : line ?? "");
        lock (_lock)
        {
            _lines.Enqueue(text);
            if (_lines.Count > MaxLines)
            {
                _lines.Dequeue();
            }
        }

        text = Origin().Replace(text, "").Trim();
        if (text.Length == 0 || text.StartsWith("Last message repeated", StringComparison.Ordinal))
        {
            return;
        }

        var rank = SystemError().IsMatch(text) ? Rank.SystemError : Consequence().IsMatch(text) ? Rank.Consequence : Rank.Message;
        lock (_lock)
        {
            if (_line is null || rank >= _rank)
            {
                (_line, _rank) = (text, rank);
            }
        }
    }

    // "[mp4 @ 0x55d0c8a0] " or "[out#0/mp4 @ 0x55d0c8a0] " in front of a message, once or more.
    [GeneratedRegex(@"^(\[[^\]]* @ [^\]]*\] )+")]
    private static partial Regex Origin();

    [GeneratedRegex("(No space left on device|Disk quota exceeded|File too large|Input/output error|Read-only file system|Permission denied"
        + "|Operation not permitted|No such file or directory|Cannot allocate memory|Too many open files|No such device|Stale file handle)[.!]?$")]
    private static partial Regex SystemError();

    [GeneratedRegex("^(Conversion failed!|Nothing was written|Error (initializing|opening|selecting|submitting|while|muxing|writing|closing|sending|parsing)"
        + "|Task finished with error|Terminating (thread|demuxer)|Could not open encoder|Exiting)")]
    private static partial Regex Consequence();
}
