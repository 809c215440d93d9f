using NablaGen.Memory;

namespace NablaGen.Generation;

/// <summary>
/// Is told how a generation goes. Calls come from the thread that works. Where a call throws, nothing more is reported and the work goes on;
/// only an <see cref="OperationCanceledException"/> stops it.
/// </summary>
public interface IGenerationProgress
{
    /// <summary>A device's memory is planned; comes before the work, not on the CPU.</summary>
    /// <param name="plan">What lives where.</param>
    void OnPlan(MemoryPlan plan)
    {
    }

    /// <summary>A prompt is longer than what the model reads; comes before the work, once for each such prompt.</summary>
    /// <param name="prompt">The prompt, or a negative one.</param>
    /// <param name="tokens">What it has.</param>
    /// <param name="read">The first of them, which the model reads.</param>
    void OnCut(string prompt, int tokens, int read)
    {
    }

    /// <summary>Something went otherwise than asked for, and the work goes on.</summary>
    /// <param name="note">A line that says what.</param>
    void OnNote(string note)
    {
    }

    /// <summary>A stage begins.</summary>
    /// <param name="stage">Which.</param>
    /// <param name="units">Its units of work: solver steps when sampling, frames when decoding; 0 where it has none.</param>
    void OnStage(GenerationStage stage, int units);

    /// <summary>Sampling's first layer is done, and shows how long all of sampling takes.</summary>
    /// <param name="sampling">About how long, from the stage's start; less where later steps are sparser.</param>
    void OnEstimate(TimeSpan sampling)
    {
    }

    /// <summary>Units of the stage are done.</summary>
    /// <param name="done">How many so far.</param>
    /// <param name="density">The mean density of the attention so far, when sampling.</param>
    void OnProgress(int done, double? density);
}
