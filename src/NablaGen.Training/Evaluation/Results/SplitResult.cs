namespace NablaGen.Training.Evaluation.Results;

/// <summary>How often videos are right.</summary>
/// <param name="Videos">How many there are.</param>
/// <param name="Right">How many of them are right in everything that was asked for.</param>
/// <param name="Attributes">By attribute, the part that is right of what was asked for, 0 to 1; those that nobody asked for are not there.</param>
public sealed record SplitResult(int Videos, int Right, IReadOnlyDictionary<ClipAttribute, double> Attributes)
{
    /// <summary>The part that is right, 0 to 1; null where there are no videos.</summary>
    public double? Success => Videos == 0 ? null : Math.Round(Right / (double)Videos, 6);

    /// <summary>Counts rows.</summary>
    public static SplitResult Of(IReadOnlyCollection<EvaluationRow> rows)
    {
        var attributes = rows.SelectMany(row => row.Attributes).GroupBy(verdict => verdict.Attribute).OrderBy(group => group.Key)
            .ToDictionary(group => group.Key, group => Math.Round(group.Average(verdict => verdict.Right ? 1.0 : 0.0), 6));
        return new SplitResult(rows.Count, rows.Count(row => row.Success), attributes);
    }
}
