using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>The plain first-order step: x ← x + (σ' − σ) v.</summary>
public sealed class EulerSolver(int steps, double shift, IReadOnlyList<double>? timesteps = null) : ISolver
{
    private int _step;

    /// <inheritdoc/>
    public FlowSchedule Schedule { get; } = FlowSchedule.Create(steps, shift, first: 1, timesteps);

    /// <inheritdoc/>
    public Tensor Step(Tensor velocity, Tensor sample)
    {
        using var scope = NewDisposeScope();
        var width = Schedule.Sigmas[_step + 1] - Schedule.Sigmas[_step];
        _step++;
        return sample.Plus(velocity.Times(width)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
