using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>
/// DPM-Solver++(2M), midpoint. Port of FlowDPMSolverMultistepScheduler (solver_order 2, dpmsolver++), wan/utils/fm_solvers.py;
/// arXiv 2211.01095.
/// </summary>
public sealed class DpmPlusPlusSolver(int steps, double shift, IReadOnlyList<double>? timesteps = null) : ISolver
{
    private int _step;
    private Tensor? _previous;

    /// <inheritdoc/>
    public FlowSchedule Schedule { get; } = FlowSchedule.Create(steps, shift, first: 1, timesteps);

    /// <inheritdoc/>
    public Tensor Step(Tensor velocity, Tensor sample)
    {
        using var scope = NewDisposeScope();
        var i = _step++;
        var (sigma, next) = ((double)Schedule.Sigmas[i], (double)Schedule.Sigmas[i + 1]);
        var video = sample - velocity.Times(sigma);

        var h = Schedule.Lambda(i + 1) - Schedule.Lambda(i);
        var weight = -(1 - next) * double.ExpM1(-h);
        var x = sample.Times(next / sigma).Plus(video.Times(weight));

        // First order at the ends: there is no earlier output at first, and none is used to reach σ = 0.
        if (_previous is not null && i < Schedule.Steps - 1)
        {
            var ratio = (Schedule.Lambda(i) - Schedule.Lambda(i - 1)) / h;
            x = x.Plus((video - _previous).Times(0.5 * weight / ratio));
        }

        _previous?.Dispose();
        _previous = video.DetachFromDisposeScope();
        return x.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _previous?.Dispose();
        _previous = null;
    }
}
