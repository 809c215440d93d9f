using NablaGen.Generation.Fields;
using NablaGen.Models.FewSteps;
using NablaGen.Weights;
using NablaGen.Weights.Lora;

namespace NablaGen.Generation;

/// <summary>A LoRA that was made for few steps, recognised by its file's name or what its header says.</summary>
/// <param name="Lora">The LoRA.</param>
/// <param name="Name">What it is.</param>
/// <param name="Values">The fields that it brings.</param>
public sealed record LoraFewSteps(LoraChoice Lora, string Name, FieldValues Values)
{
    // Where trainers and publishers write a name: kohya, the model specification of Stability AI.
    private static readonly string[] Titles = ["ss_output_name", "modelspec.title", "name", "title"];

    /// <summary>The first of some LoRAs that is known; null where none is.</summary>
    internal static LoraFewSteps? Find(LoraList loras, RequestFieldTable table)
    {
        if (loras.Count == 0)
        {
            return null;
        }

        var known = FewStepTable.Load();
        return loras.Where(lora => lora.Strength != 0)
            .Select(lora => known.Find([lora.Name, .. TitlesOf(lora)]) is { } recipe ? Of(lora, recipe, table) : null)
            .FirstOrDefault(found => found is not null);
    }

    private static LoraFewSteps Of(LoraChoice lora, FewStepRecipe recipe, RequestFieldTable table) =>
        new(lora, recipe.Name, Preset.Read(recipe.Name, recipe.Values.Values, recipe.Values.Path!, table).Values.Values);

    // A file that cannot be read is refused where it is needed.
    private static IEnumerable<string> TitlesOf(LoraChoice lora)
    {
        try
        {
            using var source = TensorSources.Open(lora.WeightsPath);
            return source is SafetensorsFile file ? [.. Titles.Select(title => file.Metadata.GetValueOrDefault(title)).OfType<string>()] : [];
        }
        catch (NablaGenException)
        {
            return [];
        }
    }
}
