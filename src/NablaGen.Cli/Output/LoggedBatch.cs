using NablaGen.Jobs.Batch;
using NablaGen.Memory;

namespace NablaGen.Cli.Output;

/// <summary>Writes a batch's rows, their stages, recipes and errors to a run's log and passes everything on.</summary>
internal sealed class LoggedBatch(IBatchProgress shown, RunLog log, Shard shard) : IBatchProgress
{
    private readonly LoggedProgress _stages = new(shown, log);
    private int _group = 1;

    public void OnStart(IReadOnlyList<BatchRow> pending, BatchSummary soFar)
    {
        log.Write("batch", BatchText.Start(pending, soFar, shard));
        shown.OnStart(pending, soFar);
    }

    public void OnGroup(int group, int groups)
    {
        if (group != _group)
        {
            log.Write("group", BatchText.Group(group, groups));
            _group = group;
        }

        shown.OnGroup(group, groups);
    }

    public void OnRowStart(BatchRow row)
    {
        log.Write("row", $"{row.Name}, {row.Where}: {row.Request.Prompt}");
        shown.OnRowStart(row);
    }

    public void OnRowDone(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        log.Write("recipe", entry.Recipe.ToJson());
        log.Write("video", $"{entry.Video}, {BatchText.Done(entry)}");
        shown.OnRowDone(row, entry, soFar);
    }

    public void OnRowError(BatchRow row, Exception error)
    {
        log.Write("error", $"{row.Name}: {error}");
        shown.OnRowError(row, error);
    }

    public void OnRowFailed(BatchRow row, ManifestEntry entry, BatchSummary soFar) => shown.OnRowFailed(row, entry, soFar);

    public void OnRowSkipped(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        log.Write("skipped", entry.State == RowState.Failed ? BatchText.Skipped(entry) : $"{entry.Name}: done before");
        shown.OnRowSkipped(row, entry, soFar);
    }

    public void OnWait(int rows)
    {
        log.Write("wait", BatchText.Wait(rows));
        shown.OnWait(rows);
    }

    public void OnPlan(MemoryPlan plan) => _stages.OnPlan(plan);

    public void OnCut(string prompt, int tokens, int read) => _stages.OnCut(prompt, tokens, read);

    public void OnNote(string note) => _stages.OnNote(note);

    public void OnStage(GenerationStage stage, int units) => _stages.OnStage(stage, units);

    public void OnEstimate(TimeSpan sampling) => _stages.OnEstimate(sampling);

    public void OnProgress(int done, double? density) => _stages.OnProgress(done, density);
}
