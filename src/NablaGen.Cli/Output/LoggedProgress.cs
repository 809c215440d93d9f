using NablaGen.Generation;
using NablaGen.Memory;

namespace NablaGen.Cli.Output;

/// <summary>Writes stages and solver steps to a run's log and passes everything on.</summary>
internal sealed class LoggedProgress(IGenerationProgress shown, RunLog log) : IGenerationProgress
{
    private GenerationStage _stage;
    private int _units;

    public void OnPlan(MemoryPlan plan)
    {
        foreach (var line in PlanReport.Lines(plan))
        {
            log.Write("plan", line["plan: ".Length..]);
        }

        shown.OnPlan(plan);
    }

    public void OnCut(string prompt, int tokens, int read)
    {
        log.Write("note", ProgressReport.Cut(prompt, tokens, read)["note: ".Length..]);
        shown.OnCut(prompt, tokens, read);
    }

    public void OnNote(string note)
    {
        log.Write("note", note);
        shown.OnNote(note);
    }

    public void OnStage(GenerationStage stage, int units)
    {
        (_stage, _units) = (stage, units);
        log.Write("stage", units == 0 ? ProgressReport.Name(stage) : $"{ProgressReport.Name(stage)}, {units} {ProgressReport.Unit(stage)}s");
        shown.OnStage(stage, units);
    }

    public void OnEstimate(TimeSpan sampling)
    {
        log.Write("estimate", ProgressReport.Estimate(sampling));
        shown.OnEstimate(sampling);
    }

    public void OnProgress(int done, double? density)
    {
        // Frames come by the hundred and say little.
        if (_stage == GenerationStage.Sample)
        {
            log.Write("step", $"{done}/{_units}{(density is { } value ? $", density {value:0.000}" : "")}");
        }

        shown.OnProgress(done, density);
    }
}
