using NablaGen.Jobs.Batch;

namespace NablaGen.Tests.Jobs.Batch;

/// <summary>Shows nothing of a batch; a test may look in at a row's start, at a stage and at each step.</summary>
internal sealed class SilentBatch : IBatchProgress
{
    public Action<string>? Look { get; set; }

    public List<string> Notes { get; } = [];

    public void OnNote(string note) => Notes.Add(note);

    public void OnStart(IReadOnlyList<BatchRow> pending, BatchSummary soFar)
    {
    }

    public void OnRowStart(BatchRow row) => Look?.Invoke($"row {row.Number}");

    public void OnRowDone(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
    }

    public void OnRowError(BatchRow row, Exception error)
    {
    }

    public void OnRowFailed(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
    }

    public void OnRowSkipped(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
    }

    public void OnWait(int rows)
    {
    }

    public void OnStage(GenerationStage stage, int units) => Look?.Invoke($"{stage}");

    public void OnProgress(int done, double? density) => Look?.Invoke("step");
}
