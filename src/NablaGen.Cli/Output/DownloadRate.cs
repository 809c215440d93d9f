namespace NablaGen.Cli.Output;

/// <summary>How fast bytes come, over the last seconds.</summary>
internal sealed class DownloadRate
{
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(15);

    private readonly Queue<(TimeSpan At, long Bytes)> _seen = [];

    /// <summary>Notes how many bytes there are.</summary>
    /// <param name="at">The time since some beginning.</param>
    /// <param name="bytes">Bytes that have come since then.</param>
    public void Add(TimeSpan at, long bytes)
    {
        _seen.Enqueue((at, bytes));
        while (_seen.Count > 2 && at - _seen.Peek().At > Window)
        {
            _seen.Dequeue();
        }
    }

    /// <summary>Bytes a second; null where too little was seen, or none has come.</summary>
    public double? PerSecond
    {
        get
        {
            if (_seen.Count < 2)
            {
                return null;
            }

            var (first, last) = (_seen.Peek(), _seen.Last());
            return last.At > first.At && last.Bytes > first.Bytes ? (last.Bytes - first.Bytes) / (last.At - first.At).TotalSeconds : null;
        }
    }
}
