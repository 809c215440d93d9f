using NablaGen.Memory;

namespace NablaGen.Jobs.Batch;

/// <summary>Passes a batch's progress on; once that fails, no more is reported, and the batch goes on.</summary>
internal sealed class SteadyBatch(IBatchProgress shown) : IBatchProgress
{
    /// <summary>Why nothing is reported any more; null where all is well.</summary>
    public Exception? Failure { get; private set; }

    public void OnStart(IReadOnlyList<BatchRow> pending, BatchSummary soFar) => Try(() => shown.OnStart(pending, soFar));

    public void OnGroup(int group, int groups) => Try(() => shown.OnGroup(group, groups));

    public void OnRowStart(BatchRow row) => Try(() => shown.OnRowStart(row));

    public void OnRowDone(BatchRow row, ManifestEntry entry, BatchSummary soFar) => Try(() => shown.OnRowDone(row, entry, soFar));

    public void OnRowError(BatchRow row, Exception error) => Try(() => shown.OnRowError(row, error));

    public void OnRowFailed(BatchRow row, ManifestEntry entry, BatchSummary soFar) => Try(() => shown.OnRowFailed(row, entry, soFar));

    public void OnRowSkipped(BatchRow row, ManifestEntry entry, BatchSummary soFar) => Try(() => shown.OnRowSkipped(row, entry, soFar));

    public void OnWait(int rows) => Try(() => shown.OnWait(rows));

    public void OnPlan(MemoryPlan plan) => Try(() => shown.OnPlan(plan));

    public void OnCut(string prompt, int tokens, int read) => Try(() => shown.OnCut(prompt, tokens, read));

    public void OnNote(string note) => Try(() => shown.OnNote(note));

    public void OnStage(GenerationStage stage, int units) => Try(() => shown.OnStage(stage, units));

    public void OnEstimate(TimeSpan sampling) => Try(() => shown.OnEstimate(sampling));

    public void OnProgress(int done, double? density) => Try(() => shown.OnProgress(done, density));

    private void Try(Action report)
    {
        if (Failure is not null)
        {
            return;
        }

        try
        {
            report();
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            Failure = error;
        }
    }
}
