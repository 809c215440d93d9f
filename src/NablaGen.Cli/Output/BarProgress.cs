using NablaGen.Generation;
using NablaGen.Memory;
using Spectre.Console;

namespace NablaGen.Cli.Output;

/// <summary>A bar a stage, for terminals: step, ETA and the mean density.</summary>
internal sealed class BarProgress(ProgressContext context) : IGenerationProgress
{
    private ProgressTask? _task;
    private GenerationStage _stage;
    private int _units;

    public static T Run<T>(Func<IGenerationProgress, T> work) => AnsiConsole.Progress()
        .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn { Width = 24 }, new RemainingTimeColumn())
        .Start(context =>
        {
            var progress = new BarProgress(context);
            var result = work(progress);
            progress._task?.StopTask();
            return result;
        });

    public void OnPlan(MemoryPlan plan)
    {
        foreach (var line in PlanReport.Lines(plan))
        {
            Wrapped.WriteAboveBars(line);
        }
    }

    public void OnCut(string prompt, int tokens, int read) => Wrapped.WriteAboveBars(ProgressReport.Cut(prompt, tokens, read));

    public void OnNote(string note) => Wrapped.WriteAboveBars($"note: {note}");

    public void OnStage(GenerationStage stage, int units)
    {
        Finish();
        (_stage, _units) = (stage, units);
        _task = context.AddTask(ProgressReport.Name(stage), maxValue: Math.Max(units, 1));
        _task.IsIndeterminate = units == 0;
    }

    public void OnEstimate(TimeSpan sampling) => Wrapped.WriteAboveBars(ProgressReport.Estimate(sampling));

    public void OnProgress(int done, double? density)
    {
        var tail = density is { } value ? $", density {value:0.000}" : "";
        _task!.Description = $"{ProgressReport.Name(_stage)} {ProgressReport.Unit(_stage)} {done}/{_units}{tail}";
        _task.Value = done;
    }

    private void Finish()
    {
        if (_task is not null)
        {
            _task.IsIndeterminate = false;
            _task.Value = _task.MaxValue;
            _task.StopTask();
        }
    }
}
