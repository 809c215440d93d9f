using System.Diagnostics;
using NablaGen.Generation;
using NablaGen.Memory;

namespace NablaGen.Cli.Output;

/// <summary>A line for each stage and each step, for pipes and logs.</summary>
internal sealed class PlainProgress(TextWriter output) : IGenerationProgress
{
    private readonly Stopwatch _watch = new();
    private GenerationStage _stage;
    private int _units;

    public void OnPlan(MemoryPlan plan)
    {
        foreach (var line in PlanReport.Lines(plan))
        {
            output.WriteLine(line);
        }
    }

    public void OnCut(string prompt, int tokens, int read) => output.WriteLine(ProgressReport.Cut(prompt, tokens, read));

    public void OnNote(string note) => output.WriteLine($"note: {note}");

    public void OnStage(GenerationStage stage, int units)
    {
        (_stage, _units) = (stage, units);
        _watch.Restart();
        output.WriteLine(ProgressReport.Name(stage));
    }

    public void OnEstimate(TimeSpan sampling) => output.WriteLine(ProgressReport.Estimate(sampling));

    public void OnProgress(int done, double? density)
    {
        var left = _watch.Elapsed / done * (_units - done);
        var tail = density is { } value ? $", density {value:0.000}" : "";
        output.WriteLine($"{ProgressReport.Name(_stage)}: {ProgressReport.Unit(_stage)} {done}/{_units}, ETA {ProgressReport.Time(left)}{tail}");
    }
}
