using NablaGen.Models;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>
/// Decides how a pass of a step is computed: in full, or partly from results of earlier steps. Each pass of a step (with the prompt,
/// without it, or both as one batch) has its own cache, which sees a run's steps in order; the passes of a step are skipped together
/// (<see cref="StepCacheRun"/>).
/// </summary>
public interface IStepCache : IDisposable
{
    /// <summary>The velocity of a step.</summary>
    /// <param name="latents">Noisy latents; the caller's. [B, C, T', h, w]</param>
    /// <param name="pass">The pass in its parts.</param>
    /// <returns>A new tensor, float32. [B, C, T', h, w]</returns>
    Tensor Velocity(Tensor latents, TransformerPass pass);
}

/// <summary>One forward pass that is not computed yet.</summary>
/// <param name="Run">The transformer; <see cref="ITransformerRun.Step"/> is the step.</param>
/// <param name="Latents">Noisy latents. [B, C, T', h, w]</param>
/// <param name="Time">Timestep. [B]</param>
/// <param name="Conditioning">What <see cref="ITransformerRun.Prepare"/> made of the conditioning.</param>
public readonly record struct TransformerPass(ITransformerRun Run, Tensor Latents, Tensor Time, IPreparedConditioning Conditioning)
{
    /// <summary>The part before the layers.</summary>
    public EmbeddedStep Embed() => Run.Embed(Latents, Time, Conditioning);

    /// <summary>The layers. [B, L, C]</summary>
    public Tensor Layers(EmbeddedStep embedded) => Run.RunLayers(embedded, Conditioning);

    /// <summary>The head. [B, C, T', h, w]</summary>
    public Tensor Head(Tensor tokens, EmbeddedStep embedded) => Run.RunHead(tokens, embedded);

    /// <summary>The whole pass. [B, C, T', h, w]</summary>
    public Tensor All()
    {
        using var scope = NewDisposeScope();
        var embedded = Embed();
        return Head(Layers(embedded), embedded).MoveToOuterDisposeScope();
    }
}
