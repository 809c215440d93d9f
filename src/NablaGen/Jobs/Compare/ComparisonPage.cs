using NablaGen.Generation;
using NablaGen.Jobs.Pages;
using NablaGen.Video;
using NablaGen.Video.Labels;

namespace NablaGen.Jobs.Compare;

/// <summary>
/// The page of a comparison: one HTML file with its videos, numbers, style and script in it, which opens from disk. Its parts are in
/// Page/; here they are filled in.
/// </summary>
public static class ComparisonPage
{
    /// <summary>The file's name.</summary>
    public const string FileName = "report.html";

    private const int PosterWidth = 640;

    /// <summary>Writes <see cref="FileName"/> into a comparison's folder, aside first.</summary>
    /// <param name="folder">The folder, which has the videos.</param>
    /// <param name="report">What was found.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="NablaGenException">A video cannot be read, or the page cannot be written.</exception>
    public static void Save(string folder, ComparisonReport report, CancellationToken cancellation = default) =>
        Save(folder, report, [.. report.Expressions.Select(one => Poster(Path.Combine(folder, one.Video), cancellation))]);

    /// <summary>Writes the page of videos whose first frames are known.</summary>
    internal static void Save(string folder, ComparisonReport report, IReadOnlyList<string> posters)
    {
        var recipe = report.Recipe;
        new HtmlPage
        {
            Name = "report",
            Title = $"{HtmlPage.Shortened(recipe.Prompt, 60)} \u2013 NablaGen comparison",
            Kind = "comparison",
            Heading = recipe.Prompt,
            Facts = HtmlPage.FactsOf(recipe),
            Data = HtmlPage.ToJson(report),
            Places = new Dictionary<string, string>
            {
                ["baseline"] = HtmlPage.Text(report.Expressions[0].Attention),
                ["table"] = MetricsTable.Html(report.Expressions.Select(MeanExpression.Of)),
                ["columns"] = $"{SideBySideVideo.Columns(report.Expressions.Count)}",
                ["players"] = string.Concat(report.Expressions.Select((one, i) => Player(folder, one, recipe, posters[i]))),
                ["options"] = string.Concat(report.Expressions.Select(one => $"<option>{HtmlPage.Text(one.Attention)}</option>")),
                ["masks"] = Masks(report.Expressions),
                ["recipe"] = RecipeList(recipe),
            },
        }.Save(Path.Combine(folder, FileName));
    }

    /// <summary>A video's first frame as a JPEG in a <c>data:</c> address.</summary>
    internal static string Poster(string video, CancellationToken cancellation = default)
    {
        using var reader = VideoReader.Open(video, cancellation: cancellation);
        var frame = new byte[reader.FrameBytes];
        return reader.ReadFrame(frame)
            ? Poster(reader.Info, frame)
            : throw new NablaGenException($"{video}: the video has no frames");
    }

    /// <summary>A frame as a JPEG in a <c>data:</c> address.</summary>
    internal static string Poster(VideoInfo info, ReadOnlySpan<byte> rgb24) => HtmlPage.Picture(info.Width, info.Height, rgb24, PosterWidth);

    // Links to the pages of masks that lie beside this one; nothing where there are none.
    private static string Masks(IEnumerable<ComparedExpression> expressions)
    {
        var links = expressions.Where(one => one.Masks is not null)
            .Select(one => $"<a href=\"{Uri.EscapeDataString(one.Masks!)}\">{HtmlPage.Text(one.Attention)}</a>").ToArray();
        return links.Length == 0 ? "" : $"<p class=\"note\">Which blocks a block looks at, on the frames: {string.Join(", ", links)}.</p>";
    }

    private static string Player(string folder, ComparedExpression one, Recipe recipe, string poster)
    {
        var path = Path.Combine(folder, one.Video);
        return "<figure class=\"player card\">"
            + $"<video autoplay loop muted playsinline controls preload=\"auto\" width=\"{recipe.Width}\" height=\"{recipe.Height}\" aria-label=\"{HtmlPage.Text(one.Attention)}\" "
            + $"poster=\"{poster}\" src=\"data:video/mp4;base64,{Convert.ToBase64String(File.ReadAllBytes(path))}\"></video>"
            + $"<figcaption><b>{HtmlPage.Text(one.Attention)}</b><span>density {one.Density:0.000}</span><span>{MetricsTable.Seconds(one.SamplingSeconds)}</span></figcaption></figure>\n";
    }

    private static string RecipeList(Recipe recipe)
    {
        (string Name, string? Value)[] entries =
        [
            ("Prompt", recipe.Prompt), ("Negative prompt", recipe.NegativePrompt), ("Seed", $"{recipe.Seed}"),
            ("Size", $"{recipe.Width}\u00d7{recipe.Height}, {recipe.Frames} frames, {recipe.Fps} a second"), ("Steps", $"{recipe.Steps}"),
            ("Solver", recipe.Solver), ("Shift", $"{recipe.Shift}"), ("Guidance", $"{recipe.Guidance}"),
            ("Model", $"{recipe.Model}, weights {recipe.ModelHash}"), ("Device", $"{recipe.Device}, {recipe.Dtype}"), ("NablaGen", recipe.Version),
        ];
        return HtmlPage.List(entries);
    }
}
