using NablaGen.Files;
using NablaGen.Models;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>Latents on disk: a safetensors file with one tensor and the recipe in its metadata.</summary>
public static class LatentFile
{
    private const string TensorName = "latents";
    internal const string RecipeKey = "nablagen.recipe";

    /// <summary>The name that goes with a video's: <c>out.mp4</c> → <c>out.latents.safetensors</c>.</summary>
    public static string PathBeside(string video) => Path.ChangeExtension(video, ".latents.safetensors");

    /// <summary>Writes latents, aside first.</summary>
    /// <param name="path">The file.</param>
    /// <param name="latents">[C, T', h, w]</param>
    /// <param name="recipe">What made them.</param>
    public static void Save(string path, Tensor latents, Recipe recipe) => SafetensorsWriter.Write(
        path, [KeyValuePair.Create(TensorName, latents)], new Dictionary<string, string> { [RecipeKey] = recipe.ToJson() });

    /// <summary>Reads what made the latents, without reading them.</summary>
    /// <exception cref="NablaGenException">The file is bad, or holds no latents of ours.</exception>
    public static Recipe ReadRecipe(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return Recipe.Parse(RecipeIn(file), path);
    }

    /// <summary>Reads latents back.</summary>
    /// <returns>The latents [C, T', h, w] in float32, and what made them.</returns>
    /// <exception cref="NablaGenException">The file is bad, or holds no latents of ours.</exception>
    public static (Tensor Latents, Recipe Recipe) Load(string path)
    {
        using var file = SafetensorsFile.Open(path);
        var json = RecipeIn(file);
        var entry = file.Entries[TensorName];
        if (entry.Shape.Length != 4 || !entry.Type.IsFloating())
        {
            throw new NablaGenException(
                $"{path}: tensor \"{TensorName}\": expected real numbers [channels, frames, height, width], found {entry.Type} {Line.Shape(entry.Shape)}");
        }

        using var scope = NewDisposeScope();
        return (file.Read(TensorName).to_type(ScalarType.Float32).MoveToOuterDisposeScope(), Recipe.Parse(json, path));
    }

    /// <summary>Reads latents to be decoded by a model; the recipe has the size that the latents have.</summary>
    /// <returns>The latents [C, T', h, w] in float32, and what made them.</returns>
    /// <exception cref="NablaGenException">The file is bad, or its latents are not such a model's.</exception>
    public static (Tensor Latents, Recipe Recipe) Load(string path, VideoModel model)
    {
        var (latents, recipe) = Load(path);
        if (latents.shape[0] != model.Latents.Channels)
        {
            throw new NablaGenException($"{path}: expected latents of {model.Latents.Channels} channels for the model in {model.Path}, found {latents.shape[0]}");
        }

        var (frames, height, width) = model.Latents.VideoOf(latents.shape);
        return (latents, recipe with { Frames = frames, Width = width, Height = height });
    }

    private static string RecipeIn(SafetensorsFile file) =>
        file.Entries.ContainsKey(TensorName) && file.Metadata.TryGetValue(RecipeKey, out var json)
            ? json
            : throw new NablaGenException($"{file.Path}: not a latents file: expected a tensor \"{TensorName}\" and the metadata \"{RecipeKey}\"");
}
