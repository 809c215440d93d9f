using System.Diagnostics;
using NablaGen.Generation;
using NablaGen.Memory;

namespace NablaGen.Jobs.Batch;

/// <summary>Passes progress on, and sees now and then that the row in work is still this process's.</summary>
/// <param name="shown">Is told.</param>
/// <param name="holds">Whether it is.</param>
internal sealed class WatchedProgress(IGenerationProgress shown, Func<bool> holds) : IGenerationProgress
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(1);

    private readonly Stopwatch _watch = Stopwatch.StartNew();

    /// <summary>The stage that began last.</summary>
    public GenerationStage Stage { get; private set; } = GenerationStage.Check;

    public void OnPlan(MemoryPlan plan) => shown.OnPlan(plan);

    public void OnCut(string prompt, int tokens, int read) => shown.OnCut(prompt, tokens, read);

    public void OnNote(string note) => shown.OnNote(note);

    /// <exception cref="ClaimLostException">The row is another's by now.</exception>
    public void OnStage(GenerationStage stage, int units)
    {
        Stage = stage;
        Look();
        shown.OnStage(stage, units);
    }

    public void OnEstimate(TimeSpan sampling) => shown.OnEstimate(sampling);

    /// <exception cref="ClaimLostException">The row is another's by now.</exception>
    public void OnProgress(int done, double? density)
    {
        if (_watch.Elapsed > Between)
        {
            Look();
        }

        shown.OnProgress(done, density);
    }

    private void Look()
    {
        _watch.Restart();
        if (!holds())
        {
            throw new ClaimLostException();
        }
    }
}
