namespace NablaGen.Jobs.Statistics;

/// <summary>One solver step.</summary>
/// <param name="Step">The step, from 0.</param>
/// <param name="Seconds">The whole step's time, all layers and both passes.</param>
/// <param name="Threshold">NABLA's threshold where it was adapted to a target density; null where it was the expression's.</param>
/// <param name="Layers">By layer.</param>
public sealed record StepStatistics(int Step, double Seconds, double? Threshold, IReadOnlyList<LayerStatistics> Layers)
{
    /// <summary>The mean over layers and heads.</summary>
    public double Density => Layers.Average(layer => layer.Density);

    /// <summary>The share of the step's time that went into finding blocks, 0 to 1.</summary>
    public double MaskShare => Layers.Sum(layer => layer.MaskSeconds ?? 0) / Seconds;
}
