using NablaGen.Attention;
using NablaGen.Training.Optimization;
using NablaGen.Training.Runs;
using NablaGen.Training.World;

namespace NablaGen.Training.Dit;

/// <summary>How a transformer and its text encoder are trained.</summary>
public sealed record DitTrainingOptions
{
    /// <summary>The sizes of the clips, of which each step takes one.</summary>
    public required IReadOnlyList<ClipSize> Clips { get; init; }

    /// <summary>Clips of the first size in a step; of another size as many as have as many tokens together.</summary>
    public required int Batch { get; init; }

    /// <summary>The clips of each size in memory.</summary>
    public required PoolSize Pool { get; init; }

    /// <summary>How the weights are moved.</summary>
    public required OptimizerOptions Optimizer { get; init; }

    /// <summary>The self-attention, in training as later in generation; of several each step takes one, drawn by chance.</summary>
    public IReadOnlyList<AttentionExpression> Attentions { get; init; } = [AttentionExpression.Dense];

    /// <summary>Ways to say what a clip shows: each time that it is drawn, one of them.</summary>
    public int Wordings { get; init; } = 4;

    /// <summary>Bends the noise levels toward noise; see <see cref="FlowMatching.Sigmas"/>.</summary>
    public double Shift { get; init; } = 2;

    /// <summary>How far the noise levels spread to both ends; see <see cref="FlowMatching.Sigmas"/>.</summary>
    public double Spread { get; init; } = 1;

    /// <summary>Share of the clips whose caption is replaced by the negative prompt, so that guidance has something to lead away from.</summary>
    public double PromptDropout { get; init; } = 0.1;

    /// <summary>Whether the text encoder stays as it is.</summary>
    public bool FrozenEncoder { get; init; }

    /// <summary>A model folder whose weights to begin with, of this size or with fewer latent channels (<see cref="Models.DitWidening"/>); null for drawn ones.</summary>
    public string? From { get; init; }

    /// <summary>Seed of weights and draws.</summary>
    public long Seed { get; init; } = 1;

    /// <summary>As a plan says.</summary>
    public static DitTrainingOptions Of(TrainingPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        return new DitTrainingOptions
        {
            Clips = plan.Clips,
            FrozenEncoder = plan.FrozenEncoder,
            Attentions = plan.Attentions,
            Batch = plan.Batch,
            Pool = plan.Pool,
            Shift = plan.NoiseShift,
            Spread = plan.NoiseSpread,
            Optimizer = new OptimizerOptions { Method = plan.Optimizer, LearningRate = plan.LearningRate, Steps = plan.Steps },
            Seed = plan.Seed,
        };
    }
}
