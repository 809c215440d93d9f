using NablaGen.Models;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>
/// What the caches of a run's passes share: one decision a step, which the first pass of the step makes (the one with the prompt) and
/// the others follow.
/// </summary>
/// <param name="model">The transformer.</param>
/// <param name="steps">Solver steps.</param>
/// <param name="isBatched">Whether the passes with and without the prompt are one batch, the prompt's first.</param>
public sealed class StepCacheRun(TransformerTraits model, int steps, bool isBatched = false)
{
    private int _decided = -1;

    /// <summary>The transformer.</summary>
    public TransformerTraits Model => model;

    /// <summary>Solver steps.</summary>
    public int Steps => steps;

    /// <summary>The current step, from 0; the denoiser sets it.</summary>
    public int Step { get; set; }

    /// <summary>Whether the current step is answered from memory.</summary>
    public bool IsSkipped { get; private set; }

    /// <summary>The error that the cache estimates of the current step, if it is skipped; its scale is the cache's own.</summary>
    public double Error { get; private set; }

    /// <summary>What all ranks take for the estimate where several GPUs compute a run, so that they skip the same steps; null for each its own.</summary>
    public Func<double?, double?>? Agree { get; init; }

    /// <summary>Whether the current step is skipped.</summary>
    /// <param name="estimate">The estimated error if it were; null where it must be computed. Asked once a step.</param>
    /// <param name="threshold">The error at which a step is computed.</param>
    public bool Skips(Func<double?> estimate, double threshold)
    {
        if (_decided != Step)
        {
            _decided = Step;
            var error = Agree is null ? estimate() : Agree(estimate());
            (IsSkipped, Error) = (error < threshold, error ?? 0);
        }

        return IsSkipped;
    }

    /// <summary>The part of a batch that has the prompt; a view.</summary>
    public Tensor WithPrompt(Tensor batch) => isBatched ? batch.narrow(0, 0, batch.shape[0] / 2) : batch;
}
