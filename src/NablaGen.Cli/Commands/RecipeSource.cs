using System.CommandLine;
using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Jobs.Calibration;
using NablaGen.Models;

namespace NablaGen.Cli.Commands;

/// <summary><c>--from</c>: an earlier run whose recipe is followed where the flags say nothing.</summary>
internal sealed class RecipeSource
{
    private readonly string _path;

    private RecipeSource(string path, Recipe recipe) => (_path, Recipe) = (path, recipe);

    public Recipe Recipe { get; }

    public static Option<string?> Option() => new("--from")
    {
        Description = "Make a video again by the recipe in it: a .mp4, .png, .json or .latents.safetensors of ours; flags given override",
        HelpName = "FILE",
    };

    /// <summary>Reads the file; null where none is named.</summary>
    /// <exception cref="NablaGenException">It carries no recipe.</exception>
    public static RecipeSource? Read(string? path, CancellationToken cancellation) =>
        path is null ? null : new RecipeSource(path, RecipeFile.Read(path, cancellation));

    /// <summary>The request: flags first, then the recipe, then the model's defaults.</summary>
    public GenerationRequest Request(PartialRequest flags, GenerationDefaults defaults) =>
        flags.Over(PartialRequest.Of(Recipe), defaults).ToRequest(defaults);

    /// <summary>Compares what made the file with what is about to be used.</summary>
    /// <param name="now">The recipe of the run to come.</param>
    /// <param name="model">Its model.</param>
    /// <param name="modelNamed">Whether the user named the model for this run.</param>
    /// <exception cref="NablaGenException">The model is another and nobody asked for it.</exception>
    public void Compare(Recipe now, VideoModel model, bool modelNamed)
    {
        if (now.ModelHash != Recipe.ModelHash)
        {
            var line = $"{_path} was made with the model '{Recipe.Model}' ({Recipe.ModelHash}), and {model.Path} holds '{now.Model}' ({now.ModelHash})";
            if (!modelNamed)
            {
                throw new NablaGenException($"{line}: name the right one, or this one, with --model");
            }

            CommandRunner.Warn($"warning: {line}: the video will be another");
        }

        if (ChangedThresholds(now) is { } file)
        {
            CommandRunner.Warn($"note: {file} does not hold the thresholds that {_path} was made with any more; those in {_path} are used");
        }

        if ((now.Device, now.Dtype, now.Version) != (Recipe.Device, Recipe.Dtype, Recipe.Version))
        {
            CommandRunner.Warn($"note: {_path} was made by NablaGen {Recipe.Version} on {Recipe.Device} in {Recipe.Dtype}, "
                + $"this is {now.Version} on {now.Device} in {now.Dtype}: small differences are to be expected");
        }
    }

    // The file of the recipe's thresholds, where the recipe's are used and the file has others or is damaged.
    private string? ChangedThresholds(Recipe now)
    {
        if (Recipe.HeadThresholds is not { } used || !used.Equals(now.HeadThresholds) || now.Attention != Recipe.Attention)
        {
            return null;
        }

        var file = AttentionExpression.Parse(Recipe.Attention, used).File;
        try
        {
            return !File.Exists(file) || CalibrationFile.Read(file).Thresholds.Equals(used) ? null : file;
        }
        catch (NablaGenException)
        {
            return file;
        }
    }
}
