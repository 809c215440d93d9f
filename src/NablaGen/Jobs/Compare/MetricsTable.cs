using System.Globalization;
using NablaGen.Jobs.Pages;

namespace NablaGen.Jobs.Compare;

/// <summary>The numbers of a comparison as an HTML table: a row an expression, arrows for which way is better. On a phone each row is a small list.</summary>
internal static class MetricsTable
{
    private const string More = "\u2191", Less = "\u2193";

    private static readonly (string Name, string Better, Func<MeanExpression, string> Text)[] Columns =
    [
        ("Density", Less, one => Number(one.Density, "0.000")),
        ("Sampling", Less, one => Seconds(one.SamplingSeconds)),
        ("Speed-up", More, one => $"{Number(one.SpeedUp, "0.00")}\u00d7"),
        ("PSNR", More, one => Number(one.Psnr, "0.00")),
        ("SSIM", More, one => Number(one.Ssim, "0.0000")),
        ("Flicker", Less, one => Number(one.Flicker, "0.00")),
        ("Latent cosine", More, one => Number(one.LatentCosine, "0.0000")),
    ];

    /// <summary>The table.</summary>
    /// <param name="expressions">The expressions, or their means over prompts.</param>
    public static string Html(IEnumerable<MeanExpression> expressions) =>
        "<table class=\"metrics\"><thead><tr><th scope=\"col\">Attention</th>"
        + string.Concat(Columns.Select(column =>
            $"<th scope=\"col\">{column.Name} <span aria-hidden=\"true\">{column.Better}</span><span class=\"unseen\"> ({(column.Better == More ? "more" : "less")} is better)</span></th>"))
        + "</tr></thead><tbody>" + string.Concat(expressions.Select(Row)) + "</tbody></table>";

    /// <summary>Seconds, or minutes where they are many.</summary>
    public static string Seconds(double seconds) => seconds < 60
        ? string.Create(CultureInfo.InvariantCulture, $"{seconds:0.0} s")
        : string.Create(CultureInfo.InvariantCulture, $"{(int)seconds / 60}:{(int)seconds % 60:00} min");

    private static string Row(MeanExpression one, int index) =>
        $"<tr><th scope=\"row\"><span class=\"dot\" style=\"--c: var(--s{index % 6})\"></span>{HtmlPage.Text(one.Attention)}</th>"
        + string.Concat(Columns.Select(column => $"<td data-label=\"{column.Name} {column.Better}\">{column.Text(one)}</td>")) + "</tr>";

    private static string Number(double? value, string format) => value switch
    {
        null => "\u2013",
        double.PositiveInfinity => "\u221e",
        { } number => number.ToString(format, CultureInfo.InvariantCulture),
    };
}
