using NablaGen.Jobs.Batch;

namespace NablaGen.Tests.Jobs.Batch;

/// <summary>What a batch says, in words short enough for a test.</summary>
public sealed class BatchLog : IBatchProgress
{
    private readonly List<string> _lines = [];

    public List<GenerationStage> Stages { get; } = [];

    public int Encoded { get; set; }

    public string? Error { get; private set; }

    public Exception? Cause { get; private set; }

    public List<(string Prompt, int Tokens, int Read)> Cuts { get; } = [];

    public Action<BatchRow>? OnRow { get; set; }

    public IReadOnlyList<string> Take()
    {
        string[] lines = [.. _lines];
        _lines.Clear();
        return lines;
    }

    public void OnStart(IReadOnlyList<BatchRow> pending, BatchSummary soFar) => _lines.Add($"start {pending.Count}");

    public void OnRowStart(BatchRow row)
    {
        _lines.Add($"row {row.Request.Prompt}");
        OnRow?.Invoke(row);
    }

    public Action<BatchRow>? OnDone { get; set; }

    public Action? OnWaiting { get; set; }

    public void OnRowDone(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        OnDone?.Invoke(row);
        _lines.Add($"done {row.Request.Prompt}");
    }

    public void OnRowError(BatchRow row, Exception error) => Cause = error;

    public void OnCut(string prompt, int tokens, int read) => Cuts.Add((prompt, tokens, read));

    public void OnRowFailed(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        _lines.Add($"failed {row.Request.Prompt}");
        Error = entry.Error;
    }

    public void OnRowSkipped(BatchRow row, ManifestEntry entry, BatchSummary soFar) => _lines.Add($"skipped {row.Request.Prompt}");

    public void OnWait(int rows)
    {
        OnWaiting?.Invoke();
        _lines.Add($"wait {rows}");
    }

    public void OnStage(GenerationStage stage, int units)
    {
        Stages.Add(stage);
        Encoded += stage == GenerationStage.EncodeText ? units : 0;
    }

    public void OnProgress(int done, double? density)
    {
    }
}
