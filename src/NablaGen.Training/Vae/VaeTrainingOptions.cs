using NablaGen.Training.Optimization;
using NablaGen.Training.Runs;
using NablaGen.Training.World;

namespace NablaGen.Training.Vae;

/// <summary>How a VAE is trained.</summary>
public sealed record VaeTrainingOptions
{
    /// <summary>The clips' sizes: each step takes one of them by chance.</summary>
    public required IReadOnlyList<ClipSize> Clips { get; init; }

    /// <summary>Side of the window that a step sees of its clips; the frame's own size or more for whole frames.</summary>
    public required int Crop { get; init; }

    /// <summary>Clips a step.</summary>
    public required int Batch { get; init; }

    /// <summary>The clips in memory of each size.</summary>
    public required PoolSize Pool { get; init; }

    /// <summary>How the weights are moved.</summary>
    public required OptimizerOptions Optimizer { get; init; }

    /// <summary>Weight of the error's differences between neighbours in time and space, which keep edges sharp and motion steady.</summary>
    public double EdgeWeight { get; init; } = 0.5;

    /// <summary>How much more an error counts where a pixel differs from its mean over time by one unit (black to white is two).</summary>
    public double MotionWeight { get; init; } = 3;

    /// <summary>Weight of the frames' squared errors, by their own size (their root mean square over frames): what one sees is the worst frame.
    /// 0 for a VAE of drawn weights: at first all frames are far off, and their squares would drown the rest.</summary>
    public double FrameWeight { get; init; }

    /// <summary>Weight of the latents' distance from a standard normal distribution.</summary>
    public double KlWeight { get; init; } = 1e-4;

    /// <summary>Whether the encoder stays as it is, so that a transformer that was trained on its latents still fits.</summary>
    public bool FrozenEncoder { get; init; }

    /// <summary>Clips over which the latents' statistics and the PSNR are taken.</summary>
    public int MeasuredClips { get; init; } = 64;

    /// <summary>A model folder whose weights to begin with, of this size or narrower (<see cref="Models.VaeWidening"/>); null for drawn ones.</summary>
    public string? From { get; init; }

    /// <summary>Seed of weights and draws.</summary>
    public long Seed { get; init; } = 1;

    /// <summary>As a plan says.</summary>
    /// <exception cref="InvalidRequestException">Clips of one frame: what doubles time would take no part in the step.</exception>
    public static VaeTrainingOptions Of(TrainingPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        if (plan.Clips.Any(clip => clip.Frames == 1))
        {
            throw new InvalidRequestException("frames must be 5 or more to train a VAE, found 1; it makes single frames all the same");
        }

        return new VaeTrainingOptions
        {
            Clips = plan.Clips,
            Crop = plan.Crop,
            Batch = plan.Batch,
            Pool = plan.Pool,
            Optimizer = new OptimizerOptions { Method = plan.Optimizer, LearningRate = plan.LearningRate, Steps = plan.Steps },
            FrozenEncoder = plan.FrozenEncoder,
            FrameWeight = plan.FrameWeight,
            Seed = plan.Seed,
        };
    }
}
