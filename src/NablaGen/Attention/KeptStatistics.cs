namespace NablaGen.Attention;

/// <summary>What one sparse attention kept and what it took.</summary>
/// <param name="HeadDensities">By head, the share of (query block, key block) pairs that were kept, 0 to 1; a batch's heads follow one another.</param>
/// <param name="MaskSeconds">Time spent finding the blocks, on the device that computed.</param>
/// <param name="AttentionSeconds">Time spent attending over them.</param>
public sealed record KeptStatistics(IReadOnlyList<double> HeadDensities, double MaskSeconds, double AttentionSeconds)
{
    /// <summary>The mean over the heads.</summary>
    public double Density => HeadDensities.Average();
}
