using NablaGen.Memory;

namespace NablaGen.Jobs.Batch;

/// <summary>Tells another process how a group's rows go, a line a call.</summary>
public sealed class GroupReporter : IBatchProgress, IDisposable
{
    private readonly TextWriter _output;
    private readonly Action _ready;
    private readonly Timer _beat;

    /// <param name="output">Where the lines go.</param>
    /// <param name="ready">Is called once it is known what there is to do, and returns when all groups know it: then all begin with the same rows.</param>
    public GroupReporter(TextWriter output, Action ready)
    {
        (_output, _ready) = (output, ready);
        _beat = new Timer(_ => Beat(), null, Between, Between);
    }

    /// <summary>From one sign of life to the next.</summary>
    internal static TimeSpan Between { get; } = TimeSpan.FromSeconds(1);

    /// <inheritdoc/>
    public void Dispose() => _beat.Dispose();

    /// <inheritdoc/>
    public void OnStart(IReadOnlyList<BatchRow> pending, BatchSummary soFar)
    {
        Write(new GroupEvent { Of = GroupEvent.Call.Start, Pending = [.. pending.Select(row => row.Number)], Summary = soFar });
        _ready();
    }

    /// <inheritdoc/>
    public void OnRowStart(BatchRow row) => Write(Of(GroupEvent.Call.RowStart, row));

    /// <inheritdoc/>
    public void OnRowDone(BatchRow row, ManifestEntry entry, BatchSummary soFar) => Write(Of(GroupEvent.Call.RowDone, row, entry));

    /// <inheritdoc/>
    public void OnRowError(BatchRow row, Exception error) => Write(Of(GroupEvent.Call.RowError, row) with { Text = $"{error}" });

    /// <inheritdoc/>
    public void OnRowFailed(BatchRow row, ManifestEntry entry, BatchSummary soFar) => Write(Of(GroupEvent.Call.RowFailed, row, entry));

    /// <inheritdoc/>
    public void OnRowSkipped(BatchRow row, ManifestEntry entry, BatchSummary soFar) => Write(Of(GroupEvent.Call.RowSkipped, row, entry));

    /// <inheritdoc/>
    public void OnWait(int rows) => Write(new GroupEvent { Of = GroupEvent.Call.Wait, Number = rows });

    /// <inheritdoc/>
    public void OnPlan(MemoryPlan plan) => Write(new GroupEvent { Of = GroupEvent.Call.Plan, Plan = plan });

    /// <inheritdoc/>
    public void OnCut(string prompt, int tokens, int read) => Write(new GroupEvent { Of = GroupEvent.Call.Cut, Text = prompt, Number = tokens, Read = read });

    /// <inheritdoc/>
    public void OnNote(string note) => Write(new GroupEvent { Of = GroupEvent.Call.Note, Text = note });

    /// <inheritdoc/>
    public void OnStage(GenerationStage stage, int units) => Write(new GroupEvent { Of = GroupEvent.Call.Stage, Stage = stage, Number = units });

    /// <inheritdoc/>
    public void OnEstimate(TimeSpan sampling) => Write(new GroupEvent { Of = GroupEvent.Call.Estimate, Sampling = sampling });

    /// <inheritdoc/>
    public void OnProgress(int done, double? density) => Write(new GroupEvent { Of = GroupEvent.Call.Progress, Number = done, Density = density });

    private static GroupEvent Of(GroupEvent.Call call, BatchRow row, ManifestEntry? entry = null) =>
        new() { Of = call, Row = row.Number, Name = row.Name, Entry = entry is null ? null : BatchManifest.LineOf(entry) };

    private void Write(GroupEvent told)
    {
        lock (_output)
        {
            _output.WriteLine(told.ToLine());
            _output.Flush();
        }
    }

    private void Beat()
    {
        try
        {
            lock (_output)
            {
                _output.WriteLine();
                _output.Flush();
            }
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException)
        {
            // Nobody reads any more, which the work learns by other ways.
        }
    }
}
