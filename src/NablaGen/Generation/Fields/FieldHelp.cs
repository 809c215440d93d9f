using System.Globalization;
using System.Text;
using System.Text.Json;
using NablaGen.Models;
using NablaGen.Models.Wan;

namespace NablaGen.Generation.Fields;

/// <summary>The fields in words: for the command line's help and for docs/options.md.</summary>
public static class FieldHelp
{
    /// <summary>The help of an option, with its default.</summary>
    public static string Describe(RequestField field)
    {
        var wan = WanDefault(field);
        var text = field.DefaultText ?? (wan is not null ? $"the model's; Wan: {wan}" : OwnDefault(field));
        return text is null ? field.Help : $"{field.Help} [default: {text}]";
    }

    /// <summary>The help of an option, with a model's default and what is safe for it.</summary>
    public static string Describe(RequestField field, GenerationDefaults defaults, TrainedFor? trained)
    {
        var help = field == RequestFields.Threshold && trained?.SafeThreshold is { } safe
            ? string.Create(CultureInfo.InvariantCulture, $"{field.Help}; from {safe} on it is safe for this model")
            : field.Help;
        var own = field.DefaultText ?? ((field.IsIn(FieldPlaces.Defaults) ? defaults.Find(field) : null) is { } value ? field.Format(value) : OwnDefault(field));
        return own is null ? help : $"{help} [default: {own}]";
    }

    /// <summary>The command line's fields as a table in Markdown, with Wan2.1's defaults.</summary>
    public static string Markdown(RequestFieldTable table)
    {
        var text = new StringBuilder("| option | default | meaning |\n|---|---|---|\n");
        foreach (var field in table.In(FieldPlaces.CommandLine))
        {
            var value = field.DefaultText ?? ((WanDefault(field) ?? OwnDefault(field)) is { } own ? $"`{own}`" : "–");
            text.Append(CultureInfo.InvariantCulture, $"| `{field.Option} {field.HelpName}`{string.Concat(field.Aliases.Select(alias => $", `{alias}`"))} | {Escaped(value)} | ")
                .Append(CultureInfo.InvariantCulture, $"{Escaped(field.Help)}{(field.Details is null ? "" : $"; {field.Details}")} |\n");
        }

        return text.ToString();
    }

    private static string? OwnDefault(RequestField field) => field.Default is { } value ? field.Format(value) : null;

    private static string? WanDefault(RequestField field) => !field.IsIn(FieldPlaces.Defaults) || WanDefaults.Values.Find(field.Key) is not { } value ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString()
        : value.GetRawText();

    // Markdown takes <threshold> for HTML, and * for emphasis.
    private static string Escaped(string text) => text.Replace("<", "\\<").Replace("*", "\\*").Replace("|", "\\|");
}
