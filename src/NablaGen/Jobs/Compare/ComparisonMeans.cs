using System.Globalization;
using System.Text;
using System.Text.Json;
using NablaGen.Files;

namespace NablaGen.Jobs.Compare;

/// <summary>The means of several prompts' comparisons: <c>means.json</c> and <c>means.csv</c>.</summary>
public sealed record ComparisonMeans
{
    /// <summary>The JSON's name.</summary>
    public const string JsonName = "means.json";

    /// <summary>The table's name; it has the means, then each prompt's numbers.</summary>
    public const string CsvName = "means.csv";

    /// <summary>The expressions' means; the first is what the others are compared with.</summary>
    public required IReadOnlyList<MeanExpression> Expressions { get; init; }

    /// <summary>The same by prompt.</summary>
    public required IReadOnlyList<ComparedPrompt> Prompts { get; init; }

    /// <summary>The means of reports that compare the same expressions.</summary>
    /// <param name="reports">The folders' names and what was found.</param>
    public static ComparisonMeans Of(IReadOnlyList<(string Folder, ComparisonReport Report)> reports) => new()
    {
        Expressions = [.. Enumerable.Range(0, reports[0].Report.Expressions.Count)
            .Select(i => MeanExpression.Mean([.. reports.Select(one => MeanExpression.Of(one.Report.Expressions[i]))]))],
        Prompts = [.. reports.Select(one => new ComparedPrompt(
            one.Report.Recipe.Prompt, one.Report.Recipe.Seed, one.Folder, [.. one.Report.Expressions.Select(MeanExpression.Of)]))],
    };

    /// <summary>Writes both files into a folder, aside first.</summary>
    /// <exception cref="NablaGenException">One cannot be written.</exception>
    public void Save(string folder)
    {
        Write(JsonName, JsonSerializer.Serialize(this, ComparisonReport.Json) + "\n");
        var csv = new StringBuilder("prompt,seed,folder,attention,density,sampling_seconds,speed_up,psnr,ssim,flicker,latent_cosine\n");
        foreach (var one in Expressions)
        {
            csv.Append(CultureInfo.InvariantCulture, $"mean of {Prompts.Count},,,{one.Csv}\n");
        }

        foreach (var prompt in Prompts)
        {
            foreach (var one in prompt.Expressions)
            {
                csv.Append(CultureInfo.InvariantCulture, $"{Quoted(prompt.Prompt)},{prompt.Seed},{Quoted(prompt.Folder)},{one.Csv}\n");
            }
        }

        Write(CsvName, csv.ToString());

        void Write(string name, string text) => OutputFile.Write(Path.Combine(folder, name), file => file.Write(Encoding.UTF8.GetBytes(text)));
    }

    private static string Quoted(string text) => $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}

/// <summary>One prompt of several.</summary>
/// <param name="Prompt">The prompt.</param>
/// <param name="Seed">Its seed.</param>
/// <param name="Folder">The folder with its videos and page.</param>
/// <param name="Expressions">Its numbers.</param>
public sealed record ComparedPrompt(string Prompt, long Seed, string Folder, IReadOnlyList<MeanExpression> Expressions);

/// <summary>An expression's numbers of one prompt, or their means over several.</summary>
/// <param name="Attention">The expression.</param>
/// <param name="Density">Mean density over layers, heads and steps.</param>
/// <param name="SamplingSeconds">Seconds of sampling.</param>
/// <param name="SpeedUp">The first expression's sampling time over this one's; of means, the ratio of the sums.</param>
/// <param name="Psnr">PSNR in dB to the first expression's videos, from the mean squared error over all; null for the first.</param>
/// <param name="Ssim">SSIM to them; null for the first.</param>
/// <param name="Flicker">Flicker in luma levels; null below three frames.</param>
/// <param name="LatentCosine">Cosine of the final latents to the first expression's; null for the first.</param>
public sealed record MeanExpression(
    string Attention, double Density, double SamplingSeconds, double SpeedUp, double? Psnr, double? Ssim, double? Flicker, double? LatentCosine)
{
    /// <summary>Columns of the table.</summary>
    internal string Csv => string.Join(',', new[] { Attention.Contains(',', StringComparison.Ordinal) ? $"\"{Attention}\"" : Attention }.Concat(
        new[] { Density, SamplingSeconds, SpeedUp, Psnr, Ssim, Flicker, LatentCosine }.Select(value => value?.ToString("0.######", CultureInfo.InvariantCulture) ?? "")));

    /// <summary>Those of one prompt.</summary>
    internal static MeanExpression Of(ComparedExpression one) => new(
        one.Attention, one.Density, one.SamplingSeconds, one.SpeedUp, one.Psnr, one.Ssim, one.Flicker, one.LatentCosineByStep is { Count: > 0 } steps ? steps[^1] : null);

    /// <summary>The means of one expression's numbers. Equal videos have no error, and an infinite PSNR only where all are equal.</summary>
    internal static MeanExpression Mean(IReadOnlyList<MeanExpression> all) => new(
        all[0].Attention,
        Rounded(all.Average(one => one.Density)),
        Rounded(all.Average(one => one.SamplingSeconds)),
        Rounded(all.Sum(one => one.SamplingSeconds * one.SpeedUp) / all.Sum(one => one.SamplingSeconds)),
        all.Any(one => one.Psnr is null) ? null : Rounded(-10 * Math.Log10(all.Average(one => Math.Pow(10, -one.Psnr!.Value / 10)))),
        Average(all.Select(one => one.Ssim)),
        Average(all.Select(one => one.Flicker)),
        Average(all.Select(one => one.LatentCosine)));

    private static double? Average(IEnumerable<double?> values) => values.Any(value => value is null) ? null : Rounded(values.Average()!.Value);

    private static double Rounded(double value) => Math.Round(value, 6);
}
