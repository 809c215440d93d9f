using NablaGen.Memory;

namespace NablaGen.Generation;

/// <summary>Passes progress on; once that fails (the terminal is gone, the disk of a log is full), no more is reported, and the work goes on.</summary>
internal sealed class SteadyProgress(IGenerationProgress shown) : IGenerationProgress
{
    private bool _failed;

    public void OnPlan(MemoryPlan plan) => Try(() => shown.OnPlan(plan));

    public void OnCut(string prompt, int tokens, int read) => Try(() => shown.OnCut(prompt, tokens, read));

    public void OnNote(string note) => Try(() => shown.OnNote(note));

    public void OnStage(GenerationStage stage, int units) => Try(() => shown.OnStage(stage, units));

    public void OnEstimate(TimeSpan sampling) => Try(() => shown.OnEstimate(sampling));

    public void OnProgress(int done, double? density) => Try(() => shown.OnProgress(done, density));

    private void Try(Action report)
    {
        if (_failed)
        {
            return;
        }

        try
        {
            report();
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            _failed = true;
        }
    }
}
