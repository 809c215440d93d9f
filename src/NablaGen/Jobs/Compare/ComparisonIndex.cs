using NablaGen.Jobs.Pages;

namespace NablaGen.Jobs.Compare;

/// <summary>The page over several prompts' comparisons: <c>index.html</c>, with a link to each one's own page.</summary>
public static class ComparisonIndex
{
    /// <summary>The file's name.</summary>
    public const string FileName = "index.html";

    /// <summary>Writes <see cref="FileName"/> and the means (<see cref="ComparisonMeans"/>), aside first.</summary>
    /// <param name="folder">The folder that has a folder for each comparison.</param>
    /// <param name="comparisons">The names of those folders and what was found.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="NablaGenException">A video cannot be read, or the page cannot be written.</exception>
    public static void Save(
        string folder, IReadOnlyList<(string Folder, ComparisonReport Report)> comparisons, CancellationToken cancellation = default)
    {
        var means = ComparisonMeans.Of(comparisons);
        means.Save(folder);
        new HtmlPage
        {
            Name = "index",
            Title = $"{comparisons.Count} prompts \u2013 NablaGen comparison",
            Kind = "comparison",
            Heading = $"{comparisons.Count} prompts",
            Facts = [string.Join(", ", comparisons[0].Report.Expressions.Select(one => one.Attention))],
            Data = HtmlPage.ToJson(means),
            Places = new Dictionary<string, string>
            {
                ["table"] = MetricsTable.Html(means.Expressions),
                ["baseline"] = HtmlPage.Text(means.Expressions[0].Attention),
                ["count"] = $"{comparisons.Count}",
                ["items"] = string.Concat(comparisons.Select(comparison => Item(folder, comparison.Folder, comparison.Report, cancellation))),
            },
        }.Save(Path.Combine(folder, FileName));
    }

    private static string Item(string folder, string name, ComparisonReport report, CancellationToken cancellation)
    {
        var poster = ComparisonPage.Poster(Path.Combine(folder, name, report.SideBySide), cancellation);
        var details = report.Expressions.Skip(1).Select(one => $"{one.Attention}: density {one.Density:0.000}, {one.SpeedUp:0.00}\u00d7, SSIM {one.Ssim:0.000}");
        return $"<li class=\"card\"><a href=\"{Uri.EscapeDataString(name)}/{ComparisonPage.FileName}\"><img src=\"{poster}\" alt=\"\">"
            + $"<h2>{HtmlPage.Text(HtmlPage.Shortened(report.Recipe.Prompt, 160))}</h2>"
            + string.Concat(details.Select(detail => $"<p>{HtmlPage.Text(detail)}</p>")) + "</a></li>\n";
    }
}
