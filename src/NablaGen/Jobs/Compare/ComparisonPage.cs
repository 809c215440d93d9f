using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Video;
using NablaGen.Video.Labels;

namespace NablaGen.Jobs.Compare;

/// <summary>
/// The page of a comparison: one HTML file with its videos, numbers, style and script in it, which opens from disk. Its parts are in
/// Page/; here they are filled in. All text is escaped.
/// </summary>
public static partial class ComparisonPage
{
    /// <summary>The file's name.</summary>
    public const string FileName = "report.html";

    private const int PosterWidth = 640;
    private const int PosterQuality = 80;

    /// <summary>Writes <see cref="FileName"/> into a comparison's folder, aside first.</summary>
    /// <param name="folder">The folder, which has the videos.</param>
    /// <param name="report">What was found.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="NablaGenException">A video cannot be read, or the page cannot be written.</exception>
    public static void Save(string folder, ComparisonReport report, CancellationToken cancellation = default)
    {
        var recipe = report.Recipe;
        Save(Path.Combine(folder, FileName), "report.html", new Dictionary<string, string>
        {
            ["title"] = $"{Text(Shortened(recipe.Prompt, 60))} \u2013 NablaGen comparison",
            ["prompt"] = Text(recipe.Prompt),
            ["facts"] = Facts(recipe),
            ["baseline"] = Text(report.Expressions[0].Attention),
            ["table"] = MetricsTable.Html(report.Expressions.Select(MeanExpression.Of)),
            ["columns"] = $"{SideBySideVideo.Columns(report.Expressions.Count)}",
            ["players"] = string.Concat(report.Expressions.Select(one => Player(folder, one, recipe, cancellation))),
            ["options"] = string.Concat(report.Expressions.Select(one => $"<option>{Text(one.Attention)}</option>")),
            ["recipe"] = RecipeList(recipe),
            ["version"] = Text(recipe.Version),
            ["data"] = report.ToPageJson(),
            ["js"] = Script("report.js"),
        });
    }

    /// <summary>Fills in a page of ours and writes it; the style is the same for all.</summary>
    internal static void Save(string path, string template, Dictionary<string, string> values)
    {
        values["css"] = Part("report.css");
        // In one pass: what is filled in may itself look like a place to fill.
        var html = Place().Replace(Part(template), match => values[match.Groups[1].Value]);
        OutputFile.Write(path, file => file.Write(Encoding.UTF8.GetBytes(html)));
    }

    /// <summary>A page's script, after what the pages share.</summary>
    internal static string Script(string name) => Part("charts.js") + "\n" + Part(name);

    /// <summary>Text as HTML shows it, within elements and attributes.</summary>
    internal static string Text(string text) => WebUtility.HtmlEncode(text);

    /// <summary>A video's first frame as a JPEG in a <c>data:</c> address.</summary>
    internal static string Poster(string video, CancellationToken cancellation = default)
    {
        using var reader = VideoReader.Open(video, cancellation: cancellation);
        var frame = new byte[reader.FrameBytes];
        if (!reader.ReadFrame(frame))
        {
            throw new NablaGenException($"{video}: the video has no frames");
        }

        var width = Math.Min(PosterWidth, reader.Info.Width);
        using var full = RgbImage.Of(reader.Info.Width, reader.Info.Height, frame);
        using var poster = full.Resized(width, Math.Max(1, reader.Info.Height * width / reader.Info.Width));
        return $"data:image/jpeg;base64,{Convert.ToBase64String(poster.ToJpeg(PosterQuality))}";
    }

    /// <summary>The start of a text that is too long.</summary>
    internal static string Shortened(string text, int length) => text.Length <= length ? text : text[..(length - 1)].TrimEnd() + "\u2026";

    private static string Facts(Recipe recipe)
    {
        string[] facts =
        [
            $"{recipe.Width}\u00d7{recipe.Height}", recipe.Frames == 1 ? "1 frame" : $"{recipe.Frames} frames, {recipe.Fps} a second",
            $"{recipe.Steps} steps, {recipe.Solver}", $"seed {recipe.Seed}", recipe.Model,
        ];
        return string.Concat(facts.Select(fact => $"<li>{Text(fact)}</li>"));
    }

    private static string Player(string folder, ComparedExpression one, Recipe recipe, CancellationToken cancellation)
    {
        var path = Path.Combine(folder, one.Video);
        return "<figure class=\"player card\">"
            + $"<video autoplay loop muted playsinline controls preload=\"auto\" width=\"{recipe.Width}\" height=\"{recipe.Height}\" aria-label=\"{Text(one.Attention)}\" "
            + $"poster=\"{Poster(path, cancellation)}\" src=\"data:video/mp4;base64,{Convert.ToBase64String(File.ReadAllBytes(path))}\"></video>"
            + $"<figcaption><b>{Text(one.Attention)}</b><span>density {one.Density:0.000}</span><span>{MetricsTable.Seconds(one.SamplingSeconds)}</span></figcaption></figure>\n";
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
        return string.Concat(entries.Where(entry => entry.Value is not null).Select(entry => $"<dt>{entry.Name}</dt><dd>{Text(entry.Value!)}</dd>"));
    }

    private static string Part(string name)
    {
        using var stream = typeof(ComparisonPage).Assembly.GetManifestResourceStream("Compare/" + name)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().TrimEnd();
    }

    [GeneratedRegex(@"\{\{(\w+)\}\}")]
    private static partial Regex Place();
}
