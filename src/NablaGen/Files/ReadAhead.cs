namespace NablaGen.Files;

/// <summary>
/// Reads files on a thread of its own and drops what it reads, so that the system has them in its cache when they are wanted. Whatever goes
/// wrong is left to whoever reads them then.
/// </summary>
internal sealed class ReadAhead : IDisposable
{
    private const int PieceBytes = 8 << 20;

    private readonly CancellationTokenSource _stop = new();
    private readonly Thread _thread;

    private ReadAhead(IReadOnlyList<string> paths)
    {
        _thread = new Thread(() => Read(paths, _stop.Token)) { IsBackground = true, Priority = ThreadPriority.BelowNormal, Name = "read ahead" };
        _thread.Start();
    }

    /// <summary>Begins to read.</summary>
    /// <param name="paths">The files, in the order in which they will be wanted.</param>
    /// <returns>Stops when disposed of; null where the files would fill more than half of the machine's memory.</returns>
    public static ReadAhead? Start(IReadOnlyList<string> paths)
    {
        var bytes = paths.Where(File.Exists).Sum(path => new FileInfo(path).Length);
        return bytes > 0 && bytes < GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2 ? new ReadAhead(paths) : null;
    }

    /// <summary>Waits until all is read.</summary>
    /// <param name="limit">How long at most.</param>
    /// <returns>Whether it is.</returns>
    internal bool Wait(TimeSpan limit) => _thread.Join(limit);

    /// <inheritdoc/>
    public void Dispose()
    {
        _stop.Cancel();
        _thread.Join();
        _stop.Dispose();
    }

    private static void Read(IReadOnlyList<string> paths, CancellationToken stop)
    {
        var piece = new byte[PieceBytes];
        foreach (var path in paths)
        {
            try
            {
                using var file = File.OpenRead(path);
                while (!stop.IsCancellationRequested && file.Read(piece) > 0)
                {
                }
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // The loader meets it again, and says so.
            }
        }
    }
}
