using NablaGen.Training.Optimization;
using NablaGen.Training.Runs;

namespace NablaGen.Training.Text;

/// <summary>How a text encoder is trained on captions alone.</summary>
public sealed record TextTrainingOptions
{
    /// <summary>Captions a step.</summary>
    public required int Batch { get; init; }

    /// <summary>How the weights are moved.</summary>
    public required OptimizerOptions Optimizer { get; init; }

    /// <summary>Captions, none of them seen in training, by which it is measured in the end.</summary>
    public int MeasuredCaptions { get; init; } = 4096;

    /// <summary>A model folder whose encoder to begin with; null for drawn weights.</summary>
    public string? From { get; init; }

    /// <summary>Seed of weights and draws.</summary>
    public long Seed { get; init; } = 1;

    /// <summary>As a plan says.</summary>
    public static TextTrainingOptions Of(TrainingPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        return new TextTrainingOptions
        {
            Batch = plan.Batch,
            Optimizer = new OptimizerOptions { Method = plan.Optimizer, LearningRate = plan.LearningRate, Steps = plan.Steps },
            Seed = plan.Seed,
        };
    }
}
