using System.Globalization;

namespace NablaGen.Jobs.Calibration;

/// <summary>What thresholds are to meet: a density at the least error, or an error at the least density.</summary>
/// <param name="Density">The mean density over layers, heads and steps, above 0 and below 1; null where an error is given.</param>
/// <param name="Error">The relative error of the attentions' outputs, above 0 and below 1; null where a density is given.</param>
public sealed record CalibrationTarget(double? Density, double? Error)
{
    /// <summary>Sees that there is one target, and that a number is a share.</summary>
    /// <exception cref="InvalidRequestException">There are none or two, or it is not between 0 and 1.</exception>
    public void Check()
    {
        var (name, value) = (Density, Error) switch
        {
            ({ } density, null) => ("target density", density),
            (null, { } error) => ("target error", error),
            (null, null) => throw new InvalidRequestException("give a target: --target-density or --target-error"),
            _ => throw new InvalidRequestException("--target-density and --target-error: give one of them; calibrate finds the other"),
        };
        if (value is not (> 0 and < 1))
        {
            throw new InvalidRequestException($"the {name} must be above 0 and below 1, found {value.ToString(CultureInfo.InvariantCulture)}");
        }
    }
}
