using System.CommandLine;
using NablaGen.Generation;
using NablaGen.Jobs.Masks;
using NablaGen.Models;

namespace NablaGen.Cli.Commands;

/// <summary>The options of <c>generate</c> that record what the attention looked at.</summary>
internal sealed class MaskOptions
{
    private readonly Option<string?> _masks = new("--masks")
    {
        Description = "Write which blocks each block looks at, drawn over the frames: a page (.html) or a contact sheet (.png)",
        HelpName = "FILE",
    };

    private readonly Option<string?> _steps = List("--masks-steps", "Steps that --masks records, from 0, such as 0,4,8-11 [default: those that are sparse, as many as fit]");
    private readonly Option<string?> _layers = List("--masks-layers", "Layers that --masks records, from 0 [default: those that are sparse, as many as fit]");
    private readonly Option<string?> _heads = List("--masks-heads", "Heads that --masks records, from 0 [default: as many as fit]");

    /// <summary>All of them.</summary>
    public IReadOnlyList<Option> All => [_masks, _steps, _layers, _heads];

    /// <summary>The file to write and what is chosen; null where no masks are asked for.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="video">The video's name.</param>
    /// <param name="isDryRun">Whether nothing is to be written.</param>
    /// <exception cref="InvalidRequestException">A list is wrong, or has no effect.</exception>
    /// <exception cref="NablaGenException">The file cannot be written.</exception>
    public (string Path, MaskChoice Choice)? Read(ParseResult parsed, string video, bool isDryRun)
    {
        Option<string?>[] lists = [_steps, _layers, _heads];
        if (parsed.GetValue(_masks) is not { } path)
        {
            return Array.Find(lists, list => parsed.GetValue(list) is not null) is { } idle
                ? throw new InvalidRequestException($"{idle.Name} has no effect without --masks")
                : null;
        }

        _ = MaskFile.MostIn(path);
        if (!isDryRun)
        {
            MaskFile.Check(path, video);
        }

        var numbers = lists.Select(list => MaskChoice.Parse(list.Name, parsed.GetValue(list))).ToArray();
        return (path, new MaskChoice(numbers[0], numbers[1], numbers[2]));
    }

    /// <summary>What a run records, for a file of a name. Who chose more than that takes is told.</summary>
    /// <exception cref="InvalidRequestException">There is nothing to show, or one of what is chosen is not there.</exception>
    public static MaskPlan Plan((string Path, MaskChoice Choice) masks, GenerationRequest request, VideoModel model)
    {
        var plan = MaskPlan.Of(masks.Choice, request, model, MaskFile.MostIn(masks.Path));
        if (plan.IsThinned && masks.Choice != new MaskChoice())
        {
            CommandRunner.Warn($"--masks: more are chosen than {Path.GetFileName(masks.Path)} takes: it shows {plan.Count}, of {plan.Steps.Count} steps, {plan.Layers.Count} layers and {plan.Heads.Count} heads");
        }

        return plan;
    }

    private static Option<string?> List(string name, string description) => new(name) { Description = description, HelpName = "LIST" };
}
