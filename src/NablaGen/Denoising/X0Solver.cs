using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>
/// The step of models distilled to few steps: the predicted video x₀ = x − σ v, then back to the next level with the same prediction,
/// x ← x₀ + σ' v; the last step ends at x₀. Wan22StepDistillScheduler of ModelTC/LightX2V.
/// </summary>
public sealed class X0Solver(int steps, double shift, IReadOnlyList<double>? timesteps = null) : ISolver
{
    private int _step;

    /// <inheritdoc/>
    public FlowSchedule Schedule { get; } = FlowSchedule.Create(steps, shift, first: 1, timesteps);

    /// <inheritdoc/>
    public Tensor Step(Tensor velocity, Tensor sample)
    {
        using var scope = NewDisposeScope();
        var i = _step++;
        var video = sample - velocity.Times(Schedule.Sigmas[i]);
        return (i == Schedule.Steps - 1 ? video : video.Plus(velocity, Schedule.Sigmas[i + 1])).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
