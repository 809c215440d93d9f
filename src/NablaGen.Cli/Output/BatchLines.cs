using System.Diagnostics;
using NablaGen.Jobs.Batch;

namespace NablaGen.Cli.Output;

/// <summary>Lines for pipes and logs: each row's begin and end, and in between one now and then.</summary>
internal sealed class BatchLines(TextWriter output, Shard shard) : IBatchProgress
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(5);

    private readonly BatchEta _eta = new();
    private readonly Stopwatch _watch = new();
    private readonly Stopwatch _stageWatch = new();
    private GenerationStage _stage;
    private int _units;
    private string _name = "";

    public void OnStart(IReadOnlyList<BatchRow> pending, BatchSummary soFar)
    {
        _eta.Start(pending);
        output.WriteLine(BatchText.Start(pending, soFar, shard));
    }

    public void OnRowStart(BatchRow row)
    {
        _eta.RowStart(row);
        _name = $"[{_eta.Current}/{_eta.Rows}] {row.Name}";
        output.WriteLine(_name);
    }

    public void OnRowDone(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        _eta.RowEnd();
        output.WriteLine($"{_name}: {BatchText.Done(entry)}{BatchText.Left(_eta)}");
    }

    public void OnRowFailed(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        _eta.RowEnd();
        output.WriteLine($"{_name}: failed: {entry.Error}");
    }

    public void OnRowSkipped(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        if (_name.Length > 0 || entry.State == RowState.Failed)
        {
            output.WriteLine(BatchText.Skipped(entry));
        }

        _eta.RowGone(row);
    }

    public void OnWait(int rows) => output.WriteLine(BatchText.Wait(rows));

    public void OnCut(string prompt, int tokens, int read) => output.WriteLine(ProgressReport.Cut(prompt, tokens, read));

    public void OnNote(string note) => output.WriteLine($"note: {note}");

    public void OnStage(GenerationStage stage, int units)
    {
        (_stage, _units) = (stage, units);
        _eta.Stage(stage, units);
        _stageWatch.Restart();
        if (stage is GenerationStage.EncodeText or GenerationStage.EncodeImage or GenerationStage.LoadTransformer)
        {
            output.WriteLine(ProgressReport.Name(stage));
        }
    }

    public void OnProgress(int done, double? density)
    {
        _eta.Progress(done);
        if (done < _units && (!_watch.IsRunning || _watch.Elapsed > Between))
        {
            var left = ProgressReport.Time(_stageWatch.Elapsed / done * (_units - done));
            var tail = density is { } value ? $", density {value:0.000}" : "";
            var row = _name.Length == 0 ? "" : _name + ": ";
            var unit = $"{ProgressReport.Name(_stage)}: {ProgressReport.Unit(_stage)} {done}/{_units}";
            output.WriteLine($"{row}{unit}, ETA {left}{tail}{BatchText.Left(_eta)}");
            _watch.Restart();
        }
    }
}
