namespace NablaGen.Training.Evaluation.Results;

/// <summary>How often videos are right.</summary>
/// <param name="Videos">How many there are.</param>
/// <param name="Right">How many of them are right in everything that was asked for.</param>
/// <param name="Attributes">By attribute, the part that is right of what was asked for, 0 to 1; those that nobody asked for are not there.</param>
public sealed record SplitResult(int Videos, int Right, IReadOnlyDictionary<ClipAttribute, double> Attributes)
{
    /// <summary>The part that is right, 0 to 1; null where there are no videos.</summary>
    public double? Success => Videos == 0 ? null : Math.Round(Right / (double)Videos, 6);

    /// <summary>Where the part would lie that is right of all such videos, with 95% confidence (Wilson's interval); null where there are none.</summary>
    public SuccessInterval? Interval => Videos == 0 ? null : SuccessInterval.Of(Right, Videos);

    /// <summary>Counts rows.</summary>
    public static SplitResult Of(IReadOnlyCollection<EvaluationRow> rows)
    {
        var attributes = rows.SelectMany(row => row.Attributes).GroupBy(verdict => verdict.Attribute).OrderBy(group => group.Key)
            .ToDictionary(group => group.Key, group => Math.Round(group.Average(verdict => verdict.Right ? 1.0 : 0.0), 6));
        return new SplitResult(rows.Count, rows.Count(row => row.Success), attributes);
    }
}

/// <summary>An interval of parts of 1.</summary>
/// <param name="Low">Its lower end.</param>
/// <param name="High">Its upper end.</param>
public sealed record SuccessInterval(double Low, double High)
{
    // Of a normal distribution 95% lies within so many deviations.
    private const double Deviations = 1.959964;

    /// <summary>Wilson's interval for a part, with 95% confidence.</summary>
    /// <param name="right">How many were right.</param>
    /// <param name="all">Of how many.</param>
    public static SuccessInterval Of(int right, int all)
    {
        double n = all, p = right / n, z2 = Deviations * Deviations;
        double centre = (p + (z2 / (2 * n))) / (1 + (z2 / n));
        double half = Deviations / (1 + (z2 / n)) * Math.Sqrt((p * (1 - p) / n) + (z2 / (4 * n * n)));
        return new SuccessInterval(Math.Round(Math.Max(0, centre - half), 6), Math.Round(Math.Min(1, centre + half), 6));
    }
}
