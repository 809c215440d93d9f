namespace NablaGen.Training.Optimization;

/// <summary>How the weights are moved.</summary>
public sealed record OptimizerOptions
{
    /// <summary>What moves the matrices inside the model.</summary>
    public OptimizerMethod Method { get; init; } = OptimizerMethod.AdamW;

    /// <summary>The highest learning rate, reached after the warm-up.</summary>
    public required double LearningRate { get; init; }

    /// <summary>A factor on the learning rate by a parameter's name and shape; null for 1.</summary>
    public Func<string, long[], float>? RelativeRate { get; init; }

    /// <summary>Steps over which the rate rises from 0.</summary>
    public int WarmUp { get; init; } = 200;

    /// <summary>The last step: the rate falls to a hundredth by then, along half a cosine.</summary>
    public required int Steps { get; init; }

    /// <summary>Share of the first moment that stays each step.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Share of the first moment that stays each step, for the matrices that Muon moves.</summary>
    public double MuonBeta { get; init; } = 0.95;

    /// <summary>Share of the second moment that stays each step.</summary>
    public double Beta2 { get; init; } = 0.99;

    /// <summary>Added to the root of the second moment.</summary>
    public double Eps { get; init; } = 1e-8;

    /// <summary>Decay of the weights, apart from the gradient (norms, biases, modulations and embeddings have none).</summary>
    public double WeightDecay { get; init; } = 0.01;

    /// <summary>Longer gradients are shortened to this norm.</summary>
    public double MaxNorm { get; init; } = 1;

    /// <summary>Share of the averaged weights that stays each step, once there have been enough steps for it.</summary>
    public double AverageDecay { get; init; } = 0.999;

    /// <summary>The learning rate of a step, counted from 0.</summary>
    public double RateAt(int step)
    {
        const double Last = 0.01;
        var warm = Math.Min(1, (step + 1.0) / Math.Max(1, WarmUp));
        var done = Math.Clamp((step - WarmUp) / Math.Max(1.0, Steps - WarmUp), 0, 1);
        return LearningRate * warm * (Last + (1 - Last) * 0.5 * (1 + Math.Cos(Math.PI * done)));
    }
}
