using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Jobs.Statistics;

/// <summary>Density and time by step, layer and head as a file: <c>.csv</c> with a row a head, or <c>.json</c> nested the same way.</summary>
/// <remarks>
/// Columns of the CSV: <c>step</c>, <c>layer</c>, <c>head</c> (from 0); <c>density</c>, the share of the head's block pairs that were kept
/// (in a guided step the mean of both passes; 1 in a dense layer); <c>threshold</c>, NABLA's in this step where it was adapted;
/// <c>layer_mask_share</c>, the mask's share of this layer's sparse attention time; <c>step_mask_share</c>, the mask's share of the whole
/// step's time; <c>step_seconds</c>. What a dense layer does not have is empty, and so is all but the time of a step that a step cache skipped. The JSON has the same names, seconds instead of the
/// layer's share, and the recipe.
/// </remarks>
public static class StatisticsFile
{
    private const string Header = "step,layer,head,density,threshold,layer_mask_share,step_mask_share,step_seconds";

    /// <summary>Sees before the work that the file can be written.</summary>
    /// <exception cref="InvalidRequestException">The name ends in neither .csv nor .json.</exception>
    /// <exception cref="NablaGenException">Nothing can be written there.</exception>
    public static void Check(string path) => OutputFile.Prepare(path, IsCsv(path) ? ".csv" : ".json");

    /// <summary>Writes the file, aside first.</summary>
    /// <param name="path">A .csv or .json.</param>
    /// <param name="steps">What was collected.</param>
    /// <param name="recipe">What was made.</param>
    /// <exception cref="NablaGenException">It cannot be written.</exception>
    public static void Save(string path, IReadOnlyList<StepStatistics> steps, Recipe recipe)
    {
        var text = IsCsv(path) ? Csv(steps) : Json(steps, recipe).ToJsonString(new JsonSerializerOptions(Recipe.Json) { WriteIndented = true }) + "\n";
        OutputFile.Write(path, file => file.Write(Encoding.UTF8.GetBytes(text)));
    }

    private static bool IsCsv(string path) => Path.GetExtension(path).ToLowerInvariant() switch
    {
        ".csv" => true,
        ".json" => false,
        _ => throw new InvalidRequestException($"{path}: the name of the statistics must end in .csv or .json"),
    };

    private static string Csv(IReadOnlyList<StepStatistics> steps)
    {
        var text = new StringBuilder(Header).Append('\n');
        var (layers, heads) = steps.FirstOrDefault(step => !step.IsSkipped)?.Layers is { } first ? (first.Count, first[0].HeadDensities.Count) : (0, 0);
        foreach (var step in steps)
        {
            for (var place = 0; step.IsSkipped && place < layers * heads; place++)
            {
                text.Append(CultureInfo.InvariantCulture, $"{step.Step},{place / heads},{place % heads},,,,,{step.Seconds:0.######}\n");
            }

            for (var layer = 0; layer < step.Layers.Count; layer++)
            {
                var found = step.Layers[layer];
                for (var head = 0; head < found.HeadDensities.Count; head++)
                {
                    text.Append(CultureInfo.InvariantCulture, $"{step.Step},{layer},{head},{found.HeadDensities[head]:0.######},{step.Threshold:0.######},")
                        .Append(CultureInfo.InvariantCulture, $"{found.MaskShare:0.######},{step.MaskShare:0.######},{step.Seconds:0.######}\n");
                }
            }
        }

        return text.ToString();
    }

    private static JsonObject Json(IReadOnlyList<StepStatistics> steps, Recipe recipe) => new()
    {
        ["recipe"] = JsonSerializer.SerializeToNode(recipe, Recipe.Json),
        ["density"] = steps.All(step => step.IsSkipped) ? null : Round(steps.Where(step => !step.IsSkipped).Average(step => step.Density)),
        ["steps"] = new JsonArray([.. steps.Select(step => new JsonObject
        {
            ["step"] = step.Step,
            ["density"] = step.IsSkipped ? null : Round(step.Density),
            ["skipped"] = step.IsSkipped ? true : null,
            ["skip_error"] = Round(step.SkipError),
            ["threshold"] = Round(step.Threshold),
            ["mask_share"] = step.IsSkipped ? null : Round(step.MaskShare),
            ["seconds"] = Round(step.Seconds),
            ["layers"] = new JsonArray([.. step.Layers.Select((layer, index) => new JsonObject
            {
                ["layer"] = index,
                ["density"] = Round(layer.Density),
                ["mask_seconds"] = Round(layer.MaskSeconds),
                ["attention_seconds"] = Round(layer.AttentionSeconds),
                ["head_density"] = new JsonArray([.. layer.HeadDensities.Select(density => (JsonNode?)Round(density))]),
            })]),
        })]),
    };

    private static JsonValue? Round(double? value) => value is { } number ? JsonValue.Create(Math.Round(number, 6)) : null;
}
