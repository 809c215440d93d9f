using System.Text;
using System.Text.RegularExpressions;
using NablaGen.Generation.Fields;

namespace NablaGen.Cli;

/// <summary>The options of a long help under headings: what, how much, attention, device, files.</summary>
internal static partial class HelpGroups
{
    private const string Options = "Options:";

    // In the help's order. A field of a request says its own group.
    private static readonly (string Title, FieldGroup? Fields, string[] Others)[] Groups =
    [
        ("What to make:", FieldGroup.What, ["--prompts", "--from", "--preset", "--seeds", "--repeat"]),
        ("How much:", FieldGroup.HowMuch, ["--measured-steps"]),
        ("Attention:", FieldGroup.Attention, ["--attention", "--target-density", "--target-error"]),
        ("Model and device:", FieldGroup.Model, ["--model", "--device", "--dtype", "--vram", "--gpus", "--batch"]),
        ("Files:", null, ["--output", "--output-dir", "--latents", "--discard-latents", "--stats", "--preview", "--preview-every", "--masks",
            "--masks-steps", "--masks-layers", "--masks-heads", "--keep-videos", "--keep-strips", "--log", "--shard",
            "--retry-failed", "--fail-fast", "--verify"]),
        ("The run:", null, ["--json", "--quiet", "--dry-run", "--yes", "--notify-command", "--verbose", "--help"]),
    ];

    /// <summary>A help with its options under headings; unchanged where there are few.</summary>
    public static string Arrange(string help)
    {
        var lines = help.ReplaceLineEndings("\n").Split('\n').ToList();
        var start = lines.IndexOf(Options);
        var end = start < 0 ? -1 : lines.FindIndex(start, line => line.Length == 0);
        if (start < 0 || end < 0)
        {
            return help;
        }

        // An option's further lines are indented deeper than its first.
        var entries = new List<List<string>>();
        foreach (var line in lines[(start + 1)..end])
        {
            if (entries.Count == 0 || (line.Length > 2 && line[2] != ' '))
            {
                entries.Add([]);
            }

            entries[^1].Add(line);
        }

        var grouped = entries.ToLookup(entry => GroupOf(LongName().Match(entry[0]).Value));
        if (grouped.Count(group => group.Key < Groups.Length - 1) < 3)
        {
            return help;
        }

        var text = new StringBuilder().AppendJoin('\n', lines[..start]);
        for (var group = 0; group < Groups.Length; group++)
        {
            if (grouped[group].Any())
            {
                text.Append('\n').Append(Groups[group].Title).Append('\n').AppendJoin('\n', grouped[group].SelectMany(entry => entry)).Append('\n');
            }
        }

        return text.Append('\n').AppendJoin('\n', lines[(end + 1)..]).ToString();
    }

    private static int GroupOf(string option)
    {
        var named = Array.FindIndex(Groups, group => group.Others.Contains(option));
        if (named >= 0)
        {
            return named;
        }

        var field = RequestFields.Table.In(FieldPlaces.CommandLine).FirstOrDefault(field => field.Option == option);
        return field is null ? Groups.Length - 1 : Array.FindIndex(Groups, group => group.Fields == field.Group);
    }

    [GeneratedRegex("--[a-z-]+")]
    private static partial Regex LongName();
}
