namespace NablaGen.Jobs.Calibration;

/// <summary>What a threshold does to one head.</summary>
/// <param name="Threshold">NABLA's threshold, above 0 and at most 1.</param>
/// <param name="Density">The share of block pairs that it keeps.</param>
/// <param name="Loss">The squared error that what it leaves out makes; losses of heads add up.</param>
public sealed record CurvePoint(double Threshold, double Density, double Loss);
