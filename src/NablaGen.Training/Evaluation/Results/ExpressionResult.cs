namespace NablaGen.Training.Evaluation.Results;

/// <summary>What was measured with one attention expression.</summary>
public sealed record ExpressionResult
{
    /// <summary>The expression.</summary>
    public required string Attention { get; init; }

    /// <summary>First steps kept dense.</summary>
    public required int DenseSteps { get; init; }

    /// <summary>First layers kept dense.</summary>
    public required int DenseLayers { get; init; }

    /// <summary>Mean density of the attention over the videos, 0 to 1.</summary>
    public required double Density { get; init; }

    /// <summary>All videos.</summary>
    public required SplitResult All { get; init; }

    /// <summary>Videos of combinations that training shows.</summary>
    public required SplitResult Seen { get; init; }

    /// <summary>Videos of combinations that training never shows.</summary>
    public required SplitResult HeldOut { get; init; }

    /// <summary>PSNR to the dense videos in dB, from the mean squared error over all; infinite where all are equal, null for dense.</summary>
    public double? Psnr { get; init; }

    /// <summary>SSIM to the dense videos, the mean; null for dense.</summary>
    public double? Ssim { get; init; }

    /// <summary>Videos that are right with dense attention and wrong with this; null for dense.</summary>
    public int? Lost { get; init; }

    /// <summary>Videos that are wrong with dense attention and right with this; null for dense.</summary>
    public int? Gained { get; init; }

    /// <summary>PSNR of the first frames to the pictures that were given, in dB, from the mean squared error over all; null where none were.</summary>
    public double? PicturePsnr { get; init; }

    /// <summary>The lowest of these.</summary>
    public double? WorstPicturePsnr { get; init; }

    /// <summary>Solver steps that were computed, the mean over the videos; null where a row does not say.</summary>
    public double? ComputedSteps { get; init; }

    /// <summary>Seconds of sampling a video, the median: the first batch also reads the model and compiles kernels.</summary>
    public required double SamplingSeconds { get; init; }

    /// <summary>Seconds of decoding a video, the median.</summary>
    public required double DecodingSeconds { get; init; }

    /// <summary>Videos made at once, the most.</summary>
    public required int Batch { get; init; }

    /// <summary>Sums up rows.</summary>
    /// <param name="rows">The expression's, at least one.</param>
    /// <param name="dense">Those of the dense videos, in the same order; null where these are the dense ones.</param>
    public static ExpressionResult Of(IReadOnlyList<EvaluationRow> rows, IReadOnlyList<EvaluationRow>? dense)
    {
        var recipe = rows[0].Recipe;
        return new ExpressionResult
        {
            Attention = recipe.Attention,
            DenseSteps = recipe.DenseSteps,
            DenseLayers = recipe.DenseLayers,
            Density = Rounded(rows.Average(row => row.Density)),
            All = SplitResult.Of(rows.ToArray()),
            Seen = SplitResult.Of(rows.Where(row => !row.HeldOut).ToArray()),
            HeldOut = SplitResult.Of(rows.Where(row => row.HeldOut).ToArray()),
            Psnr = dense is null ? null : MeanPsnr(rows, row => row.Psnr),
            Ssim = dense is null ? null : Rounded(rows.Average(row => row.Ssim!.Value)),
            Lost = dense?.Zip(rows).Count(pair => pair.First.Success && !pair.Second.Success),
            Gained = dense?.Zip(rows).Count(pair => !pair.First.Success && pair.Second.Success),
            PicturePsnr = rows[0].PicturePsnr is null ? null : MeanPsnr(rows, row => row.PicturePsnr),
            WorstPicturePsnr = rows.Min(row => row.PicturePsnr) is { } worst ? Rounded(worst) : null,
            ComputedSteps = rows.All(row => row.ComputedSteps is not null) ? Rounded(rows.Average(row => row.ComputedSteps!.Value)) : null,
            SamplingSeconds = Median(rows.Select(row => row.SamplingSeconds)),
            DecodingSeconds = Median(rows.Select(row => row.DecodingSeconds)),
            Batch = rows.Max(row => row.Batch),
        };
    }

    private static double MeanPsnr(IReadOnlyList<EvaluationRow> rows, Func<EvaluationRow, double?> of) =>
        Rounded(-10 * Math.Log10(rows.Average(row => Math.Pow(10, -of(row)!.Value / 10))));

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return Rounded((sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2);
    }

    private static double Rounded(double value) => Math.Round(value, 6);
}
