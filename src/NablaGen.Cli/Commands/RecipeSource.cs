using System.CommandLine;
using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Models;
using NablaGen.Weights.Lora;

namespace NablaGen.Cli.Commands;

/// <summary><c>--from</c>: an earlier run whose recipe is followed where the flags say nothing.</summary>
internal sealed class RecipeSource
{
    private readonly string _path;

    private RecipeSource(string path, Recipe recipe) => (_path, Recipe) = (path, recipe);

    public Recipe Recipe { get; }

    public static Option<string?> Option() => new("--from")
    {
        Description = "Make a video again from the recipe in a .mp4, .png, .json or .latents.safetensors that NablaGen wrote; options given override the recipe",
        HelpName = "FILE",
    };

    /// <summary>Reads the file; null where none is named.</summary>
    /// <exception cref="NablaGenException">It carries no recipe.</exception>
    public static RecipeSource? Read(string? path, CancellationToken cancellation) =>
        path is null ? null : new RecipeSource(path, RecipeFile.Read(path, cancellation));

    /// <summary>The request: flags first, then the recipe, then the model's defaults.</summary>
    /// <exception cref="NablaGenException">The recipe has a LoRA that is not among the model's: a recipe opens no path, so the user has to name it.</exception>
    public GenerationRequest Request(PartialRequest flags, GenerationDefaults defaults, VideoModel model)
    {
        foreach (var field in new[] { PictureFields.Image, PictureFields.LastImage })
        {
            if (Recipe.Get(field) is { } recorded && flags.Get(field) is { } named && !named.Equals(recorded))
            {
                CommandRunner.Warn($"note: {named.Name} is not the picture '{Line.Of(recorded.Name)}' (SHA-256 {recorded.ShortHash}…) that {_path} was made with: the video will differ");
            }
        }

        var recipe = PartialRequest.Of(Recipe);
        if (flags.Get(RequestFields.Lora) is null && Recipe.Get(RequestFields.Lora) is { Count: > 0 } loras)
        {
            // Taken out first: the values keep what is equal, and LoRAs are equal wherever they lie.
            recipe = recipe.With(RequestFields.Lora, null).With(RequestFields.Lora, new LoraList([.. loras.Select(lora => Known(lora, model))]));
        }

        return flags.Over(recipe, defaults).ToRequest(defaults);
    }

    private LoraChoice Known(LoraChoice lora, VideoModel model) => lora.AmongModels(model.Path)
        ?? throw new NablaGenException($"{_path} was made with the LoRA '{Line.Of(lora.Name)}' (SHA-256 {Short(lora.Sha256)}…), which is in no folder 'loras' "
            + $"of {model.Path} or above it: name its file with --lora (a recipe opens no file by itself)");

    /// <summary>Compares what made the file with what is about to be used.</summary>
    /// <param name="now">The recipe of the run to come.</param>
    /// <param name="model">Its model.</param>
    /// <param name="modelNamed">Whether the user named the model for this run.</param>
    /// <param name="lorasNamed">Whether the user named the LoRAs for this run.</param>
    /// <exception cref="NablaGenException">The model or a LoRA is another and nobody asked for it.</exception>
    public void Compare(Recipe now, VideoModel model, bool modelNamed, bool lorasNamed)
    {
        foreach (var before in Recipe.Get(RequestFields.Lora) ?? [])
        {
            if (now.Get(RequestFields.Lora)?.FirstOrDefault(lora => lora.Name == before.Name) is { } lora && lora.Sha256 != before.Sha256)
            {
                var line = $"{_path} was made with the LoRA '{Line.Of(before.Name)}' ({Short(before.Sha256)}…), and {lora.Path} is another ({Short(lora.Sha256)}…)";
                if (!lorasNamed)
                {
                    throw new NablaGenException($"{line}: name the right file with --lora, or name this one to use it anyway");
                }

                CommandRunner.Warn($"warning: {line}: the video will differ");
            }
        }

        if (now.ModelHash != Recipe.ModelHash)
        {
            var line = $"{_path} was made with the model '{Recipe.Model}' ({Recipe.ModelHash}), and {model.Path} holds '{now.Model}' ({now.ModelHash})";
            if (!modelNamed)
            {
                var parts = Recipe.Model.Contains(" + ", StringComparison.Ordinal) ? " and the files behind + with --text-encoder, --vae, --tokenizer or --image-encoder" : "";
                throw new NablaGenException($"{line}: name the right model with --model{parts}, or name this one to use it anyway");
            }

            CommandRunner.Warn($"warning: {line}: the video will differ");
        }

        if ((now.Device, now.Dtype, now.Version) != (Recipe.Device, Recipe.Dtype, Recipe.Version))
        {
            CommandRunner.Warn($"note: {_path} was made by NablaGen {Recipe.Version} on {Recipe.Device} in {Recipe.Dtype}, "
                + $"this is {now.Version} on {now.Device} in {now.Dtype}: expect small differences");
        }
    }

    // A recipe may say anything.
    private static string Short(string? hash) => Line.Of(hash is { Length: > 16 } ? hash[..16] : hash ?? "unknown");
}
