namespace NablaGen.Jobs.Statistics;

/// <summary>One layer's attention in one step; of a guided step the mean of both passes' densities and the sum of their times.</summary>
/// <param name="HeadDensities">By head, the share of block pairs that were kept: 1 in a dense layer.</param>
/// <param name="MaskSeconds">Time spent finding the blocks; null in a dense layer.</param>
/// <param name="AttentionSeconds">Time spent attending over them; null in a dense layer.</param>
public sealed record LayerStatistics(IReadOnlyList<double> HeadDensities, double? MaskSeconds, double? AttentionSeconds)
{
    /// <summary>The mean over the heads.</summary>
    public double Density => HeadDensities.Average();

    /// <summary>The mask's share of the sparse attention's time, 0 to 1; null in a dense layer.</summary>
    public double? MaskShare => MaskSeconds / (MaskSeconds + AttentionSeconds);
}
