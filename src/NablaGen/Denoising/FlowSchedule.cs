namespace NablaGen.Denoising;

/// <summary>
/// The noise levels of a run, from 1 (noise) down to 0 (video), and the times the model is told: latents are
/// (1 − σ) · video + σ · noise.
/// </summary>
/// <param name="Sigmas">Noise level before each step, and 0 at the end. [steps + 1]</param>
/// <param name="Timesteps">1000 σ, truncated to a whole number where the solver's reference does that. [steps]</param>
public sealed record FlowSchedule(IReadOnlyList<float> Sigmas, IReadOnlyList<double> Timesteps)
{
    /// <summary>Timesteps of the training schedule.</summary>
    public const int TrainTimesteps = 1000;

    /// <summary>Number of solver steps.</summary>
    public int Steps => Timesteps.Count;

    /// <summary>
    /// Evenly spaced levels from <paramref name="first"/>, or those of a list, bent toward noise by <paramref name="shift"/>:
    /// σ ← s σ / (1 + (s − 1) σ).
    /// </summary>
    /// <param name="steps">Solver steps, at least 1.</param>
    /// <param name="shift">Above 1 spends more steps on noisy latents; 1 leaves the levels even.</param>
    /// <param name="first">The first level before the shift: 1, or 0.999 for UniPC (its schedule starts at the first training timestep).</param>
    /// <param name="timesteps">Timesteps before the shift, falling, instead of even ones; none is taken beyond <paramref name="first"/>. [steps]</param>
    /// <param name="isWhole">Whether the times are truncated.</param>
    public static FlowSchedule Create(int steps, double shift, double first, IReadOnlyList<double>? timesteps = null, bool isWhole = true)
    {
        if (timesteps is not null && timesteps.Count != steps)
        {
            throw new ArgumentException($"{timesteps.Count} timesteps for {steps} steps", nameof(timesteps));
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(steps, 1);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(shift);
        var sigmas = new float[steps + 1];
        var times = new double[steps];
        for (var i = 0; i < steps; i++)
        {
            var level = timesteps is null ? first - first / steps * i : Math.Min(timesteps[i] / TrainTimesteps, first);
            var sigma = shift * level / (1 + (shift - 1) * level);
            sigmas[i] = (float)sigma;
            times[i] = isWhole ? Math.Truncate(sigma * TrainTimesteps) : sigma * TrainTimesteps;
        }

        return new FlowSchedule(sigmas, times);
    }

    /// <summary>λ = log((1 − σ) / σ), half the log of the signal-to-noise ratio: −∞ at noise, +∞ at the video.</summary>
    internal double Lambda(int index) => Math.Log(1 - (double)Sigmas[index]) - Math.Log(Sigmas[index]);
}
