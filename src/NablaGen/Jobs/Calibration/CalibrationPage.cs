using System.Globalization;
using NablaGen.Files;
using NablaGen.Jobs.Pages;

namespace NablaGen.Jobs.Calibration;

/// <summary>A calibration as a page: the map of its thresholds, and error against density beside one threshold for all. One file, which opens from disk.</summary>
public static class CalibrationPage
{
    /// <summary>The page's name beside a file of thresholds.</summary>
    public static string PathBeside(string thresholds) => Path.ChangeExtension(thresholds, ".html");

    /// <summary>Sees before the work that the page can be written.</summary>
    /// <exception cref="NablaGenException">It cannot.</exception>
    public static void Check(string path) => OutputFile.Prepare(path, ".html");

    /// <summary>Writes the page, aside first.</summary>
    /// <param name="path">The page.</param>
    /// <param name="thresholds">The file of thresholds that it is about.</param>
    /// <param name="found">What is in it.</param>
    /// <exception cref="NablaGenException">It cannot be written.</exception>
    public static void Save(string path, string thresholds, CalibratedThresholds found)
    {
        new HtmlPage
        {
            Name = "calibration",
            Title = $"Thresholds of {found.Model} \u2013 NablaGen calibration",
            Kind = "calibration",
            Heading = $"A threshold for each layer and head of {found.Model}",
            Facts =
            [
                found.Target.Density is { } density ? string.Create(CultureInfo.InvariantCulture, $"for density {density}") : string.Create(CultureInfo.InvariantCulture, $"for error {found.Target.Error}"),
                found.Size, string.Create(CultureInfo.InvariantCulture, $"{found.Steps} steps, {found.Solver}"), $"{found.Layers} layers of {found.Heads} heads",
            ],
            Data = HtmlPage.ToJson(found),
            Places = new Dictionary<string, string>
            {
                ["table"] = Table(found),
                ["use"] = Number(found.DensityInUse, "0.000"),
                ["recipe"] = HtmlPage.List(
                [
                    ("Prompts", string.Join(" \u00b7 ", found.Prompts)), ("Seeds", List(found.Seeds)), ("Steps", List(found.MeasuredSteps.Select(step => step + 1L))),
                    ("Guidance", Number(found.Guidance, "0.##")), ("Model", $"{found.Model}, weights {found.ModelHash}"), ("Device", found.Device),
                ]),
                ["file"] = HtmlPage.Text(Path.GetFileName(thresholds)),
            },
        }.Save(path);
    }

    private static string Table(CalibratedThresholds found)
    {
        var all = found.Thresholds.ToArray().SelectMany(layer => layer).ToArray();
        (string Name, string Threshold, double Error)[] rows =
        [
            ("by layer and head", $"{Number(all.Min(), "0.000")}–{Number(all.Max(), "0.000")}", found.Error),
            ("one for all", Number(found.GlobalThreshold, "0.000"), found.GlobalError),
        ];
        return "<table class=\"metrics\"><thead><tr><th scope=\"col\">Thresholds</th><th scope=\"col\">Threshold</th><th scope=\"col\">Density</th><th scope=\"col\">Error ↓</th></tr></thead><tbody>"
            + string.Concat(rows.Select((row, i) => $"<tr><th scope=\"row\"><span class=\"dot\" style=\"--c: var(--s{i + 1})\"></span>{row.Name}</th>"
                + $"<td data-label=\"Threshold\">{row.Threshold}</td><td data-label=\"Density\">{Number(found.Density, "0.000")}</td><td data-label=\"Error ↓\">{Number(row.Error, "0.0000")}</td></tr>"))
            + "</tbody></table>";
    }

    private static string List(IEnumerable<long> numbers) => string.Join(", ", numbers.Select(number => number.ToString(CultureInfo.InvariantCulture)));

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
