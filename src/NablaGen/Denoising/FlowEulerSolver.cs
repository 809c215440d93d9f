using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>
/// Euler's step at exactly the times that a model was distilled for: they are not truncated, the first is 1600 / 1601 at most, and the noise is
/// scaled by it. The sampler of sparkdiffusion/inference/wan2pt1_t2v_distilled_infer.py, whose sums are float64 and here float32.
/// </summary>
public sealed class FlowEulerSolver(int steps, double shift, IReadOnlyList<double>? timesteps = null) : ISolver
{
    // The reference's largest σ as diffusion counts it is 1600; as a share of noise that is 1600 / (1600 + 1).
    private const double FirstTime = 1600.0 / 1601;

    private int _step;

    /// <inheritdoc/>
    public FlowSchedule Schedule { get; } = FlowSchedule.Create(steps, shift, FirstTime, timesteps, isWhole: false);

    /// <inheritdoc/>
    public double NoiseScale => Schedule.Sigmas[0];

    /// <inheritdoc/>
    public Tensor Step(Tensor velocity, Tensor sample)
    {
        var width = (double)Schedule.Sigmas[_step + 1] - Schedule.Sigmas[_step];
        _step++;
        return sample.Plus(velocity, width);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
