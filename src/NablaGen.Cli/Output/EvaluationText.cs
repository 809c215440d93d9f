using NablaGen.Training.Evaluation.Results;
using NablaGen.Training.Evaluation.Running;

namespace NablaGen.Cli.Output;

/// <summary>An evaluation before it begins.</summary>
/// <param name="Plan">What is made.</param>
/// <param name="Video">About how long a dense video takes, measuring included.</param>
internal sealed record EvaluationWork(EvaluationPlan Plan, TimeSpan Video)
{
    /// <summary>About how long so many videos take.</summary>
    public TimeSpan Left(int videos) => Video * videos;
}

/// <summary>What an evaluation says on a terminal and on a pipe alike.</summary>
internal static class EvaluationText
{
    public static string Start(EvaluationWork work, int videos, int done)
    {
        var plan = work.Plan;
        var parts = $"{plan.Prompts.Count} prompts x {plan.Seeds.Count} {(plan.Seeds.Count == 1 ? "seed" : "seeds")} x {plan.Attentions.Count} {(plan.Attentions.Count == 1 ? "attention" : "attentions")}";
        return $"{videos} videos ({parts}){(done == 0 ? "" : $", {done} of them made before")}"
            + (done == videos ? "" : $"; about {ProgressReport.LongTime(work.Left(videos - done))}, a rough guess; reading the model, encoding the prompts");
    }

    public static string Rows(IReadOnlyList<EvaluationRow> rows, int done, int videos, TimeSpan left)
    {
        var recipe = rows[0].Recipe;
        var which = rows.Count == 1 ? $"\"{recipe.Prompt}\", seed {recipe.Seed}: {(rows[0].Success ? "right" : "wrong")}" : $"{rows.Count(row => row.Success)} of {rows.Count} right";
        return $"[{done}/{videos}] {recipe.Attention}: {which}, density {rows.Average(row => row.Density):0.000}{Left(done, videos, left)}";
    }

    public static string Left(int done, int videos, TimeSpan left) => done == videos ? "" : $", ETA {ProgressReport.Time(left)}";

    public static string Table(EvaluationReport report)
    {
        var name = Math.Max(9, report.Expressions.Max(one => one.Attention.Length)) + 2;
        var lines = new List<string>
        {
            $"{"attention".PadRight(name)}{"density",7}{"seen",9}{"held-out",10}{"PSNR",8}{"SSIM",8}{"lost",6}{"gained",8}{Picture("picture")}{"sampling",10}{"decoding",10}",
        };
        lines.AddRange(report.Expressions.Select(one => $"{one.Attention.PadRight(name)}{one.Density,7:0.000}{Part(one.Seen.Success),9}{Part(one.HeldOut.Success),10}"
            + $"{Number(one.Psnr, "0.0"),8}{Number(one.Ssim, "0.000"),8}{one.Lost?.ToString() ?? "-",6}{one.Gained?.ToString() ?? "-",8}"
            + Picture(Number(one.PicturePsnr, "0.0")) + $"{one.SamplingSeconds,8:0.000} s{one.DecodingSeconds,8:0.000} s"));
        return string.Join('\n', lines) + "\n";

        string Picture(string text) => report.Expressions.Any(one => one.PicturePsnr is not null) ? text.PadLeft(9) : "";
    }

    private static string Part(double? part) => part is { } value ? $"{100 * value:0.0}%" : "-";

    private static string Number(double? value, string format) => value switch
    {
        null => "-",
        double.PositiveInfinity => "equal",
        { } number => number.ToString(format),
    };
}
