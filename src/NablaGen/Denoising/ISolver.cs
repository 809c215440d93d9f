using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>Takes latents down the schedule, with one model output a step, and keeps what it needs from earlier steps.</summary>
public interface ISolver : IDisposable
{
    /// <summary>Levels and timesteps.</summary>
    FlowSchedule Schedule { get; }

    /// <summary>What the noise is multiplied by before the first step: 1, unless the solver begins below pure noise and counts that.</summary>
    double NoiseScale => 1;

    /// <summary>The latents after the next step; steps are taken in order.</summary>
    /// <param name="velocity">The model's output at <paramref name="sample"/> and this step's timestep, guided. Any shape.</param>
    /// <param name="sample">The latents before the step; the caller keeps owning them.</param>
    /// <returns>A new tensor, float32.</returns>
    Tensor Step(Tensor velocity, Tensor sample);
}
