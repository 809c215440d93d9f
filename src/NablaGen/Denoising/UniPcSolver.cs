using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>
/// UniPC of order 2, B(h) = e^h − 1, predicting the video: each new model output first corrects the sample it was computed at, then
/// predicts the next. Port of FlowUniPCMultistepScheduler (solver_order 2, bh2), wan/utils/fm_solvers_unipc.py; arXiv 2302.04867.
/// </summary>
public sealed class UniPcSolver(int steps, double shift, IReadOnlyList<double>? timesteps = null) : ISolver
{
    // 1 − 1/1000 as the reference's float32 has it.
    private const double FirstSigma = 0.999f;

    private int _step;
    private int _order;
    private Tensor? _lastSample;
    private Tensor? _video1;
    private Tensor? _video2;

    /// <inheritdoc/>
    public FlowSchedule Schedule { get; } = FlowSchedule.Create(steps, shift, FirstSigma, timesteps);

    /// <inheritdoc/>
    public Tensor Step(Tensor velocity, Tensor sample)
    {
        using var scope = NewDisposeScope();
        var i = _step++;
        var video = sample - velocity.Times(Schedule.Sigmas[i]);
        var corrected = i > 0 ? Correct(i, video) : sample.alias();

        _video2?.Dispose();
        (_video2, _video1) = (_video1, video.DetachFromDisposeScope());
        _lastSample?.Dispose();
        _lastSample = corrected.DetachFromDisposeScope();

        // Order 1 at the first step, which has no earlier output, and at the last, which goes to σ = 0.
        _order = i == 0 || i == Schedule.Steps - 1 ? 1 : 2;
        return Predict(i).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _lastSample?.Dispose();
        _video1?.Dispose();
        _video2?.Dispose();
        (_lastSample, _video1, _video2) = (null, null, null);
    }

    // UniP: from σ_i to σ_{i+1} with the outputs at σ_i and before.
    private Tensor Predict(int i)
    {
        var h = Schedule.Lambda(i + 1) - Schedule.Lambda(i);
        var alpha = 1 - (double)Schedule.Sigmas[i + 1];
        var b = double.ExpM1(-h);
        var x = _lastSample!.Times((double)Schedule.Sigmas[i + 1] / Schedule.Sigmas[i]) - _video1!.Times(alpha * b);
        if (_order == 2)
        {
            var ratio = (Schedule.Lambda(i - 1) - Schedule.Lambda(i)) / h;
            x -= (_video2! - _video1!).Times(0.5 * alpha * b / ratio);
        }

        return x;
    }

    // UniC: the step from σ_{i-1} to σ_i again, now that the output at its end is known.
    private Tensor Correct(int i, Tensor video)
    {
        var h = Schedule.Lambda(i) - Schedule.Lambda(i - 1);
        var alpha = 1 - (double)Schedule.Sigmas[i];
        var b = double.ExpM1(-h);
        var x = _lastSample!.Times((double)Schedule.Sigmas[i] / Schedule.Sigmas[i - 1]) - _video1!.Times(alpha * b);
        if (_order == 1)
        {
            return x - (video - _video1!).Times(0.5 * alpha * b);
        }

        // Weights of the two differences: they solve [1 1; r 1] ρ = [b₁; b₂].
        var ratio = (Schedule.Lambda(i - 2) - Schedule.Lambda(i - 1)) / h;
        var phi2 = b / -h - 1;
        var phi3 = phi2 / -h - 0.5;
        var b1 = phi2 / b;
        var b2 = 2 * phi3 / b;
        var rho1 = (b1 - b2) / (1 - ratio);
        var rho2 = b1 - rho1;
        return x - (_video2! - _video1!).Times(alpha * b * rho1 / ratio) - (video - _video1!).Times(alpha * b * rho2);
    }
}
