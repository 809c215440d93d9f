using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NablaGen.Files;

namespace NablaGen.Generation;

/// <summary>The <c>.json</c> beside a video: its recipe and what making it took.</summary>
public static class ResultFile
{
    private static readonly JsonSerializerOptions Indented = new(Recipe.Json) { WriteIndented = true };

    /// <summary>The name that goes with a video's: <c>out.mp4</c> → <c>out.json</c>.</summary>
    public static string PathBeside(string video) => Path.ChangeExtension(video, ".json");

    /// <summary>Removes a result's latents once its video is there.</summary>
    /// <returns>The result without them; as it was where it has none.</returns>
    internal static GenerationResult DiscardLatents(GenerationResult result)
    {
        if (result.LatentsPath is null)
        {
            return result;
        }

        // First the file that names them: what is cut off in between leaves latents that nobody names.
        var without = result with { LatentsPath = null };
        Save(result.Path, without);
        OutputFile.Discard(result.LatentsPath);
        return without;
    }

    /// <summary>Writes the file, aside first.</summary>
    public static void Save(string video, GenerationResult result)
    {
        var json = JsonSerializer.SerializeToNode(result.Recipe, Recipe.Json)!.AsObject();
        json["result"] = new JsonObject
        {
            ["video"] = Path.GetFileName(video),
            ["latents"] = result.LatentsPath is null ? null : Path.GetFileName(result.LatentsPath),
            ["density"] = result.Density,
            ["skipped_steps"] = result.SkippedSteps.Count == 0 ? null : new JsonArray([.. result.SkippedSteps.Select(
                skip => new JsonObject { ["step"] = skip.Step, ["error"] = Math.Round(skip.Error, 6) })]),
            ["seconds"] = new JsonObject(result.Seconds.Select(stage => KeyValuePair.Create(
                JsonNamingPolicy.SnakeCaseLower.ConvertName(stage.Key.ToString()), (JsonNode?)JsonValue.Create(Math.Round(stage.Value, 3))))),
            ["peak_memory_bytes"] = result.PeakMemoryBytes,
            ["peak_device_memory_bytes"] = result.PeakDeviceMemoryBytes,
        };
        OutputFile.Write(PathBeside(video), file => file.Write(Encoding.UTF8.GetBytes(json.ToJsonString(Indented) + "\n")));
    }
}
