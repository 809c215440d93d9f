namespace NablaGen.Jobs.Calibration;

/// <summary>
/// Spends density on the heads where it saves the most loss. Each head climbs its curve's lower convex hull; the steepest steps of all
/// heads are taken first, the last one in part. Where that leaves whole steps, or curves are convex, no other choice of the same mean
/// density has less loss.
/// </summary>
public static class ThresholdAllocation
{
    // Rounding aside.
    private const double Whole = 1e-9;

    /// <summary>The least loss at a mean density; beyond what the curves reach, their ends.</summary>
    /// <param name="curves">One a head.</param>
    /// <param name="density">The mean density.</param>
    public static Allocation ForDensity(IReadOnlyList<HeadCurve> curves, double density)
    {
        var left = density * curves.Count - curves.Sum(curve => curve.Hull[0].Density);
        return Climb(curves, step =>
        {
            var share = left <= 0 ? 0 : Math.Min(1, left / step.Density);
            left -= step.Density;
            return share;
        });
    }

    /// <summary>The least mean density at a loss of at most the square of an error; the curves' ends where there is no such.</summary>
    /// <param name="curves">One a head.</param>
    /// <param name="error">The error.</param>
    public static Allocation ForError(IReadOnlyList<HeadCurve> curves, double error)
    {
        var excess = curves.Sum(curve => curve.Hull[0].Loss) - error * error;
        return Climb(curves, step =>
        {
            var share = excess <= 0 ? 0 : Math.Min(1, excess / step.Loss);
            excess -= step.Loss;
            return share;
        });
    }

    /// <summary>One threshold for all heads, of a mean density.</summary>
    /// <param name="curves">One a head.</param>
    /// <param name="density">The mean density; beyond what the curves reach, their ends.</param>
    public static Allocation Global(IReadOnlyList<HeadCurve> curves, double density)
    {
        var (low, high) = (0.0, 1.0);
        for (var i = 0; i < 50; i++)
        {
            var middle = (low + high) / 2;
            (low, high) = curves.Average(curve => curve.At(middle).Density) < density ? (middle, high) : (low, middle);
        }

        return Allocation.Of([.. curves.Select(curve => curve.At(high))]);
    }

    // Takes the steps of all heads by what they save a density; how much of each, the caller says.
    private static Allocation Climb(IReadOnlyList<HeadCurve> curves, Func<(double Density, double Loss), double> take)
    {
        var points = curves.Select(curve => curve.Hull[0]).ToArray();
        var steps = curves.SelectMany((curve, head) => curve.Hull.Zip(curve.Hull.Skip(1), (from, to) =>
            (Head: head, From: from, To: to, Density: to.Density - from.Density, Loss: from.Loss - to.Loss)));
        // The sort is stable, so that a head's own steps stay in order where they are equally steep.
        foreach (var step in steps.OrderByDescending(step => step.Loss / step.Density))
        {
            var share = take((step.Density, step.Loss));
            if (share <= 0)
            {
                break;
            }

            // A curve may lie above its hull in between, so that a part of a step can be worse than none.
            var point = share > 1 - Whole ? step.To : curves[step.Head].AtDensity(step.From.Density + share * step.Density);
            points[step.Head] = point.Loss < step.From.Loss ? point : step.From;
        }

        return Allocation.Of(points);
    }
}

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
