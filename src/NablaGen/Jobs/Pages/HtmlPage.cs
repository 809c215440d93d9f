using System.Net;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Video.Labels;

namespace NablaGen.Jobs.Pages;

/// <summary>
/// A page of ours: one HTML file with its pictures, numbers, style and script in it, which opens from disk and asks no network. Head, style
/// and charts are the same for all (Pages/Page); a page's own body and script lie with whoever makes it. All text is escaped.
/// </summary>
internal sealed partial class HtmlPage
{
    private const int JpegQuality = 80;

    // Inside a script element: < and & are escaped. An infinite PSNR can only be said in quotes.
    private static readonly JsonSerializerOptions Json = new(Recipe.Json)
    {
        Encoder = JavaScriptEncoder.Default,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>The name of its body and its script: <c>report</c> for report.html and report.js.</summary>
    public required string Name { get; init; }

    /// <summary>The window's title.</summary>
    public required string Title { get; init; }

    /// <summary>What kind of page it is, in a word: <c>comparison</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>The heading.</summary>
    public required string Heading { get; init; }

    /// <summary>A few facts below the heading.</summary>
    public required IReadOnlyList<string> Facts { get; init; }

    /// <summary>What the script works on, as <see cref="ToJson"/> gives it.</summary>
    public required string Data { get; init; }

    /// <summary>HTML for the places of the body, by their names.</summary>
    public required IReadOnlyDictionary<string, string> Places { get; init; }

    /// <summary>Writes the page, aside first.</summary>
    /// <exception cref="NablaGenException">It cannot be written.</exception>
    public void Save(string path)
    {
        var html = Fill("page.html", new Dictionary<string, string>
        {
            ["title"] = Text(Title),
            ["css"] = Part("page.css"),
            ["kind"] = Kind,
            ["heading"] = Text(Heading),
            ["facts"] = string.Concat(Facts.Select(fact => $"<li>{Text(fact)}</li>")),
            ["body"] = Fill($"{Name}.html", new Dictionary<string, string>(Places) { ["version"] = Text(NablaGenVersion.Text) }),
            ["data"] = Data,
            ["js"] = Part("charts.js") + "\n" + Part($"{Name}.js"),
        });
        OutputFile.Write(path, file => file.Write(Encoding.UTF8.GetBytes(html)));
    }

    /// <summary>A value as JSON on one line, safe between <c>&lt;script&gt;</c> and <c>&lt;/script&gt;</c>.</summary>
    public static string ToJson<T>(T value) => JsonSerializer.Serialize(value, Json);

    /// <summary>Text as HTML shows it, within elements and attributes.</summary>
    public static string Text(string text) => WebUtility.HtmlEncode(text);

    /// <summary>Entries of a list of names and values; those without a value are left out.</summary>
    public static string List(IEnumerable<(string Name, string? Value)> entries) =>
        string.Concat(entries.Where(entry => entry.Value is not null).Select(entry => $"<dt>{entry.Name}</dt><dd>{Text(entry.Value!)}</dd>"));

    /// <summary>What was made, in a few words each.</summary>
    public static IReadOnlyList<string> FactsOf(Recipe recipe) =>
    [
        $"{recipe.Width}\u00d7{recipe.Height}", recipe.Frames == 1 ? "1 frame" : $"{recipe.Frames} frames, {recipe.Fps} a second",
        $"{recipe.Steps} steps, {recipe.Solver}", $"seed {recipe.Seed}", recipe.Model,
    ];

    /// <summary>The start of a text that is too long.</summary>
    public static string Shortened(string text, int length) => text.Length <= length ? text : text[..(length - 1)].TrimEnd() + "\u2026";

    /// <summary>A frame as a JPEG in a <c>data:</c> address, scaled down to a width.</summary>
    /// <param name="width">Columns of the frame.</param>
    /// <param name="height">Rows of the frame.</param>
    /// <param name="rgb24">[height, width, 3]</param>
    /// <param name="widest">The largest width of the JPEG.</param>
    public static string Picture(int width, int height, ReadOnlySpan<byte> rgb24, int widest)
    {
        var shown = Math.Min(widest, width);
        using var full = RgbImage.Of(width, height, rgb24);
        using var scaled = full.Resized(shown, Math.Max(1, height * shown / width));
        return $"data:image/jpeg;base64,{Convert.ToBase64String(scaled.ToJpeg(JpegQuality))}";
    }

    // In one pass: what is filled in may itself look like a place to fill.
    private static string Fill(string template, IReadOnlyDictionary<string, string> values) =>
        Place().Replace(Part(template), match => values[match.Groups[1].Value]);

    private static string Part(string name)
    {
        using var stream = typeof(HtmlPage).Assembly.GetManifestResourceStream("Pages/" + name)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().TrimEnd();
    }

    [GeneratedRegex(@"\{\{(\w+)\}\}")]
    private static partial Regex Place();
}
