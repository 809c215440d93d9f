using System.Text.Json;
using NablaGen.Files;
using NablaGen.Video;
using NablaGen.Video.Pictures;
using NablaGen.Weights;

namespace NablaGen.Generation;

/// <summary>From what a run left behind back to its recipe.</summary>
public static class RecipeFile
{
    /// <summary>Reads the recipe that a video, a picture, saved latents or a <c>.json</c> of ours carries.</summary>
    /// <param name="path">Any of the files that a run writes; a video may have been copied into another format that keeps its tags.</param>
    /// <param name="cancellation">Ends ffprobe, which reads videos.</param>
    /// <exception cref="NablaGenException">There is no such file, it cannot be read, or it carries no recipe.</exception>
    public static Recipe Read(string path, CancellationToken cancellation = default)
    {
        if (!File.Exists(path))
        {
            throw new NablaGenException($"{path}: there is no such file");
        }

        return Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".json" => Of(Text(path), path),
            ".safetensors" => Of(Latents(path), path),
            ".png" => OfTags(PictureFile.ReadTexts(path), path),
            _ => OfTags(VideoProbe.Read(path, cancellation: cancellation).Tags, path),
        };
    }

    /// <summary>The recipe among the texts of a video or a picture.</summary>
    /// <param name="tags">The texts by name; tags come in any case.</param>
    /// <param name="path">The file, for messages.</param>
    /// <exception cref="NablaGenException">There is none.</exception>
    internal static Recipe OfTags(IEnumerable<KeyValuePair<string, string>> tags, string path) =>
        Of(tags.FirstOrDefault(tag => tag.Key.Equals("comment", StringComparison.OrdinalIgnoreCase)).Value, path);

    private static Recipe Of(string? json, string path) => json is not null && IsRecipe(json)
        ? Recipe.Parse(json, path)
        : throw new NablaGenException($"{path}: holds no recipe: expected a .mp4, .png, .json or .latents.safetensors that NablaGen wrote");

    private static string Text(string path)
    {
        using var reader = new StreamReader(new MemoryStream(WholeText.Read(path)));
        return reader.ReadToEnd();
    }

    private static string? Latents(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return file.Metadata.GetValueOrDefault(LatentFile.RecipeKey);
    }

    // Other programs leave comments and .json files too; one of ours that is damaged has its own error.
    private static bool IsRecipe(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("prompt", out _) && document.RootElement.TryGetProperty("model_hash", out _);
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
