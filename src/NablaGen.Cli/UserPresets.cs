using System.CommandLine;
using System.CommandLine.Completions;
using NablaGen.Files;
using NablaGen.Generation.Fields;

namespace NablaGen.Cli;

/// <summary>The user's own sets of options: <c>presets.json</c> in the configuration folder, an object of objects whose keys are the options'.</summary>
internal static class UserPresets
{
    private const string FileName = "presets.json";

    /// <summary>The option <c>--preset</c>; a shell suggests the names in the file.</summary>
    public static Option<string?> Option()
    {
        var option = new Option<string?>("--preset")
        {
            Description = $"Use the options of this name in {FileName} of your configuration folder (docs/options.md); those given here override them",
            HelpName = "NAME",
        };
        option.CompletionSources.Add(_ => Names().Select(name => new CompletionItem(name)));
        return option;
    }

    /// <summary>The preset of a name.</summary>
    /// <exception cref="InvalidRequestException">There is none.</exception>
    /// <exception cref="NablaGenException">The file is malformed.</exception>
    public static Preset Find(string name)
    {
        var path = UserConfig.File(FileName);
        if (!File.Exists(path))
        {
            throw new InvalidRequestException($"--preset {Line.Of(name)}: there are no presets: {path} is not there; it may hold {{\"{Example(name)}\": {{\"steps\": 8, \"threshold\": 0.8}}}}");
        }

        var presets = Preset.ReadFile(path);
        return presets.FirstOrDefault(preset => preset.Name == name) ?? throw new InvalidRequestException(
            $"--preset {Line.Of(name)}: {path} has no such preset{(presets.Count == 0 ? "" : $", only {string.Join(", ", presets.Select(preset => Line.Key(preset.Name)))}")}"
                + (UsageHint.Closest(name, presets.Select(preset => preset.Name)) is { } close ? $": did you mean {Line.Key(close)}?" : ""));
    }

    private static string Example(string name) => name.All(char.IsAsciiLetterOrDigit) ? name : "fast";

    // A shell asks while somebody types: a wrong file is for the run itself to tell.
    private static IEnumerable<string> Names()
    {
        try
        {
            var path = UserConfig.File(FileName);
            return File.Exists(path) ? Preset.ReadFile(path).Select(preset => preset.Name) : [];
        }
        catch (NablaGenException)
        {
            return [];
        }
    }
}
