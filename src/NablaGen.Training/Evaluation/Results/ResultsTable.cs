using System.Globalization;
using System.Text;
using NablaGen.Denoising;
using NablaGen.Generation.Fields;

namespace NablaGen.Training.Evaluation.Results;

/// <summary>The results as a page of Markdown: <c>results.md</c>.</summary>
public static class ResultsTable
{
    /// <summary>The file's name.</summary>
    public const string FileName = "results.md";

    /// <summary>The page. docs/evaluation.md says what its columns mean.</summary>
    public static string Markdown(EvaluationReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        var recipe = report.Recipe;
        var page = new StringBuilder();
        page.Append(CultureInfo.InvariantCulture, $"# Quality against density: {recipe.Model}\n\n");
        var hasPictures = report.Expressions.Any(one => one.PicturePsnr is not null);
        ClipAttribute[] attributes = [.. Enum.GetValues<ClipAttribute>().Where(attribute => hasPictures || attribute != ClipAttribute.Picture)];
        page.Append(CultureInfo.InvariantCulture, $"{Count(report.SeenPrompts, "seen prompt")} and {Count(report.HeldOutPrompts, "held-out prompt")}{(hasPictures ? " with a picture each" : "")}, ");
        page.Append(CultureInfo.InvariantCulture, $"{(report.Seeds.Count == 1 ? "seed" : "seeds")} {string.Join(", ", report.Seeds)}; ");
        page.Append(CultureInfo.InvariantCulture, $"{recipe.Width}×{recipe.Height}, {Count(recipe.Frames, "frame")}, {Count(recipe.Steps, "step")} of {recipe.Solver}, ");
        page.Append(CultureInfo.InvariantCulture, $"shift {recipe.Shift}, guidance {recipe.Guidance}{(recipe.Get(RequestFields.StepCache) is { } cache and not StepCaches.None ? $", step cache {cache}" : "")}; ");
        page.Append(CultureInfo.InvariantCulture, $"{recipe.Device}, {recipe.Dtype}{(recipe.Precision is { } products ? $", products in {products}" : "")}{(recipe.AttentionPrecision is null ? "" : ", attention in eight bits")}; weights {recipe.ModelHash}; ");
        page.Append(CultureInfo.InvariantCulture, $"NablaGen {recipe.Version}, rules {report.Rules}.\n\n");

        var hasCache = report.Expressions.Any(one => one.ComputedSteps < recipe.Steps);
        Table(page, ["attention", "density", .. hasCache ? new[] { "steps" } : [], "seen", "held-out", "PSNR (dB)", "SSIM", "lost", "gained", .. hasPictures ? new[] { "picture (dB)", "worst" } : [], "sampling (s)", "decoding (s)"],
            report.Expressions.Select(one => (string[])
            [
                Name(one), Number(one.Density, "0.000"), .. hasCache ? new[] { Number(one.ComputedSteps, "0.0") } : [], Part(one.Seen), Part(one.HeldOut), Number(one.Psnr, "0.0"), Number(one.Ssim, "0.000"),
                $"{one.Lost?.ToString(CultureInfo.InvariantCulture) ?? "–"}", $"{one.Gained?.ToString(CultureInfo.InvariantCulture) ?? "–"}",
                .. hasPictures ? new[] { Number(one.PicturePsnr, "0.0"), Number(one.WorstPicturePsnr, "0.0") } : [],
                Number(one.SamplingSeconds, "0.000"), Number(one.DecodingSeconds, "0.000"),
            ]));
        page.Append("\nRight by attribute, seen and held-out together:\n\n");
        Table(page, ["attention", .. attributes.Select(attribute => attribute.ToString().ToLowerInvariant())],
            report.Expressions.Select(one => (string[])
            [
                one.Attention,
                .. attributes.Select(attribute => Part(one.All.Attributes.TryGetValue(attribute, out double rate) ? rate : null)),
            ]));
        return page.ToString();
    }

    /// <summary>A part of 1 as a percentage, or a dash.</summary>
    internal static string Part(double? part) => part is { } value ? (100 * value).ToString("0.0", CultureInfo.InvariantCulture) + "%" : "–";

    // 91.1% (81.2–96.1, n 56)
    private static string Part(SplitResult split) => split.Interval is not { } interval ? "–" : string.Create(
        CultureInfo.InvariantCulture, $"{Part(split.Success)} ({100 * interval.Low:0.0}–{100 * interval.High:0.0}, n {split.Videos})");

    private static string Name(ExpressionResult one)
    {
        string[] kept =
        [
            .. one.DenseSteps == 0 ? [] : new[] { Count(one.DenseSteps, "step") },
            .. one.DenseLayers == 0 ? [] : new[] { Count(one.DenseLayers, "layer") },
        ];
        return kept.Length == 0 ? one.Attention : $"{one.Attention} (first {string.Join(" and ", kept)} dense)";
    }

    private static void Table(StringBuilder page, string[] heads, IEnumerable<string[]> rows)
    {
        page.Append(CultureInfo.InvariantCulture, $"| {string.Join(" | ", heads)} |\n|---|{string.Concat(heads.Skip(1).Select(_ => "---:|"))}\n");
        foreach (var row in rows)
        {
            page.Append(CultureInfo.InvariantCulture, $"| {string.Join(" | ", row)} |\n");
        }
    }

    private static string Number(double? value, string format) => value switch
    {
        null => "–",
        double.PositiveInfinity => "equal",
        { } number => number.ToString(format, CultureInfo.InvariantCulture),
    };

    private static string Count(int count, string what) => string.Create(CultureInfo.InvariantCulture, $"{count} {what}{(count == 1 ? "" : "s")}");
}
