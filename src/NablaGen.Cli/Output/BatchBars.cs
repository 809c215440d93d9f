using NablaGen.Jobs.Batch;
using Spectre.Console;

namespace NablaGen.Cli.Output;

/// <summary>For terminals: a bar for all rows, one for the row in work, and above them a line for each that is finished.</summary>
internal sealed class BatchBars : IBatchProgress
{
    private readonly BatchEta _eta = new();
    private readonly ProgressContext _context;
    private readonly Shard _shard;
    private readonly Lanes<Lane> _lanes = new();
    private ProgressTask? _all;
    private bool _begun;

    private BatchBars(ProgressContext context, Shard shard)
    {
        _context = context;
        _shard = shard;
        _ = Bar;
    }

    private ProgressTask Bar => _lanes.Now.Bar ??= Added();

    public static T Run<T>(Shard shard, Func<IBatchProgress, T> work) => AnsiConsole.Progress()
        .AutoClear(true)
        .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn { Width = 20 }, new PercentageColumn())
        .Start(context => work(new BatchBars(context, shard)));

    public void OnStart(IReadOnlyList<BatchRow> pending, BatchSummary soFar)
    {
        _eta.Start(pending);
        Line(BatchText.Start(pending, soFar, _shard));
        _all = _context.AddTask("all rows", maxValue: 1);
    }

    public void OnGroup(int group, int groups)
    {
        _eta.Group(group);
        _lanes.Select(group);
    }

    public void OnRowStart(BatchRow row)
    {
        _begun = true;
        _eta.RowStart(row);
        _lanes.Now.Name = Short(row.Name);
        ShowAll();
    }

    public void OnRowDone(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        _eta.RowEnd();
        Line($"{row.Name}: {BatchText.Done(entry)}");
        ShowAll();
    }

    public void OnRowFailed(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        _eta.RowEnd();
        Line($"{row.Name}: failed: {entry.Error}");
        ShowAll();
    }

    public void OnRowSkipped(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        if (_begun || entry.State == RowState.Failed)
        {
            Line(BatchText.Skipped(entry));
        }

        _eta.RowGone(row);
        ShowAll();
    }

    public void OnWait(int rows)
    {
        Bar.Description = BatchText.Wait(rows);
        Bar.IsIndeterminate = true;
    }

    public void OnCut(string prompt, int tokens, int read) => Line(ProgressReport.Cut(prompt, tokens, read));

    public void OnNote(string note) => Line($"note: {note}");

    public void OnStage(GenerationStage stage, int units)
    {
        _lanes.Now.Stage = stage;
        _eta.Stage(stage, units);
        Bar.Description = Describe(ProgressReport.Name(stage));
        Bar.MaxValue = Math.Max(units, 1);
        Bar.Value = 0;
        Bar.IsIndeterminate = units == 0;
    }

    public void OnProgress(int done, double? density)
    {
        _eta.Progress(done);
        var tail = density is { } value ? $", density {value:0.000}" : "";
        Bar.Description = Describe($"{ProgressReport.Unit(_lanes.Now.Stage)} {done}/{Bar.MaxValue:0}{tail}");
        Bar.Value = done;
        ShowAll();
    }

    // A name takes a third of a narrow terminal, no more.
    private static string Short(string name) => name.Length <= 24 ? name : name[..23] + "…";

    private static void Line(string text) => Wrapped.WriteAboveBars(text);

    private string Describe(string what) => Markup.Escape(_lanes.Now.Name.Length == 0 ? what : $"{_lanes.Now.Name} {what}");

    private ProgressTask Added()
    {
        var bar = _context.AddTask("checking");
        bar.IsIndeterminate = true;
        return bar;
    }

    private void ShowAll()
    {
        var eta = _eta.Left is { } left ? $", ETA {ProgressReport.Time(left)}" : "";
        _all!.Description = $"all rows: {_eta.Current}/{_eta.Rows}{eta}";
        _all.Value = _eta.Fraction;
    }

    private sealed class Lane
    {
        public ProgressTask? Bar { get; set; }

        public GenerationStage Stage { get; set; }

        public string Name { get; set; } = "";
    }
}
