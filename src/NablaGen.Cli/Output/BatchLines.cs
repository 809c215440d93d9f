using System.Diagnostics;
using NablaGen.Jobs.Batch;

namespace NablaGen.Cli.Output;

/// <summary>Lines for pipes and logs: each row's begin and end, and in between one now and then.</summary>
internal sealed class BatchLines(TextWriter output, Shard shard) : IBatchProgress
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(5);

    private readonly BatchEta _eta = new();
    private readonly Lanes<Lane> _lanes = new();

    public void OnStart(IReadOnlyList<BatchRow> pending, BatchSummary soFar)
    {
        _eta.Start(pending);
        output.WriteLine(BatchText.Start(pending, soFar, shard));
    }

    public void OnGroup(int group, int groups)
    {
        _eta.Group(group);
        _lanes.Select(group);
    }

    public void OnRowStart(BatchRow row)
    {
        _eta.RowStart(row);
        _lanes.Now.Name = $"[{_eta.Current}/{_eta.Rows}] {row.Name}";
        output.WriteLine(_lanes.Now.Name);
    }

    public void OnRowDone(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        _eta.RowEnd();
        output.WriteLine($"{_lanes.Now.Name}: {BatchText.Done(entry)}{BatchText.Left(_eta)}");
    }

    public void OnRowFailed(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        _eta.RowEnd();
        output.WriteLine($"{_lanes.Now.Name}: failed: {entry.Error}");
    }

    public void OnRowSkipped(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        if (_lanes.All.Any(lane => lane.Name.Length > 0) || entry.State == RowState.Failed)
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
        (_lanes.Now.Stage, _lanes.Now.Units) = (stage, units);
        _eta.Stage(stage, units);
        _lanes.Now.StageWatch.Restart();
        if (stage is GenerationStage.EncodeText or GenerationStage.EncodeImage or GenerationStage.LoadTransformer)
        {
            output.WriteLine(ProgressReport.Name(stage));
        }
    }

    public void OnProgress(int done, double? density)
    {
        _eta.Progress(done);
        var lane = _lanes.Now;
        if (done < lane.Units && (!lane.Watch.IsRunning || lane.Watch.Elapsed > Between))
        {
            var left = ProgressReport.Time(lane.StageWatch.Elapsed / done * (lane.Units - done));
            var tail = density is { } value ? $", density {value:0.000}" : "";
            var row = lane.Name.Length == 0 ? "" : lane.Name + ": ";
            var unit = $"{ProgressReport.Name(lane.Stage)}: {ProgressReport.Unit(lane.Stage)} {done}/{lane.Units}";
            output.WriteLine($"{row}{unit}, ETA {left}{tail}{BatchText.Left(_eta)}");
            lane.Watch.Restart();
        }
    }

    private sealed class Lane
    {
        public Stopwatch Watch { get; } = new();

        public Stopwatch StageWatch { get; } = new();

        public GenerationStage Stage { get; set; }

        public int Units { get; set; }

        public string Name { get; set; } = "";
    }
}
