namespace NablaGen.Jobs.Calibration;

/// <summary>A threshold for each head, and what to expect of them.</summary>
/// <param name="Thresholds">By head, in the curves' order.</param>
/// <param name="Density">The mean density.</param>
/// <param name="Loss">The sum of the heads' losses.</param>
public sealed record Allocation(IReadOnlyList<double> Thresholds, double Density, double Loss)
{
    /// <summary>The error whose square is the loss.</summary>
    public double Error => Math.Sqrt(Loss);

    /// <summary>What points of curves make together.</summary>
    internal static Allocation Of(IReadOnlyCollection<CurvePoint> points) =>
        new([.. points.Select(point => point.Threshold)], points.Average(point => point.Density), points.Sum(point => point.Loss));
}
