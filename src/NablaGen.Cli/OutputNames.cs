using System.CommandLine;
using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Cli;

/// <summary>Sees before the work that a run writes no file twice, and none that it reads.</summary>
internal static class OutputNames
{
    private static readonly string[] Written = ["--output", "--latents", "--stats", "--preview", "--masks", "--log", "--json"];
    private static readonly string[] Read = ["FILE", "LATENTS", "--prompts", "--from", "--tokenizer"];

    /// <summary>Checks what the command line names, before the first of the files is opened.</summary>
    /// <exception cref="InvalidRequestException">Two of the files are one.</exception>
    public static void Check(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        // What is required has no value where only help is asked for.
        var named = command.Options.OfType<Option<string?>>().Where(option => !option.Required || parsed.GetResult(option) is { Implicit: false })
            .Select(option => (option.Name, Value: parsed.GetValue(option)))
            .Concat(command.Arguments.OfType<Argument<string>>().Where(argument => parsed.GetResult(argument) is { Tokens.Count: > 0 }).Select(argument => (argument.Name, Value: parsed.GetValue(argument))))
            .Where(one => !string.IsNullOrWhiteSpace(one.Value)).ToList();
        var outputs = named.Where(one => Written.Contains(one.Name)).Select(one => (What: one.Name, one.Value)).ToList();
        if (command.Name is "generate" or "decode" && outputs.Find(one => one.What == "--output").Value is { } video)
        {
            outputs.AddRange(Beside(video, withLatents: command.Name == "generate" && !outputs.Exists(one => one.What == "--latents")));
        }

        Check(outputs);
        foreach (var (what, path) in named.Where(one => Read.Contains(one.Name)))
        {
            // A video may be made again over the one whose recipe it follows: that was read by then.
            if (outputs.Find(one => IsSame(one.Value!, path!) && (what != "--from" || one.What is not ("--output" or Recipe))).What is { } written)
            {
                throw new InvalidRequestException($"{written} and {what} are both {Line.Of(path!)}: what is read would be written over");
            }
        }

        if (command.Name == "batch" && named.Find(one => one.Name == "--output-dir").Value is { } folder && named.Find(one => one.Name == "--log").Value is { } log
            && IsSame(Path.GetDirectoryName(Path.GetFullPath(log))!, folder) && Path.GetFileName(log).StartsWith("manifest", StringComparison.OrdinalIgnoreCase))
        {
            throw new InvalidRequestException($"--log {Line.Of(log)}: a name for the batch's manifest: give the log another");
        }
    }

    /// <summary>Checks the files of a run whose names are all known.</summary>
    /// <param name="files">What each is, and its path; null for none.</param>
    /// <exception cref="InvalidRequestException">Two of them are one.</exception>
    public static void Check(IEnumerable<(string What, string? Path)> files)
    {
        var seen = new List<(string What, string Path)>();
        foreach (var (what, path) in files)
        {
            if (path is null)
            {
                continue;
            }

            if (seen.Find(one => IsSame(one.Path, path)).What is { } other)
            {
                throw new InvalidRequestException($"{other} and {what} are both {Line.Of(path)}: give one of them another name");
            }

            seen.Add((what, path));
        }
    }

    /// <summary>What is written beside a video.</summary>
    public static IEnumerable<(string What, string? Path)> Beside(string video, bool withLatents)
    {
        yield return (Recipe, ResultFile.PathBeside(video));
        if (withLatents)
        {
            yield return ("the latents beside the video", LatentFile.PathBeside(video));
        }
    }

    private const string Recipe = "the recipe beside the video";

    private static bool IsSame(string a, string b)
    {
        try
        {
            return string.Equals(Full(a), Full(b), OperatingSystem.IsWindows() ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal);
        }
        catch (Exception error) when (OutputFile.IsOfFiles(error))
        {
            // No path at all: whoever opens it says so.
            return false;
        }
    }

    private static string Full(string path)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        return (File.Exists(full) ? File.ResolveLinkTarget(full, returnFinalTarget: true)?.FullName : null) ?? full;
    }
}
