using System.Text.RegularExpressions;
using NablaGen.Files;

namespace NablaGen.Weights.Lora;

/// <summary>What a LoRA's keys say of it, without a model.</summary>
/// <param name="Dialect">Who spells keys so.</param>
/// <param name="Targets">The modules that it changes, those of all layers together, an N for the number, with how many there are of each; in the order of the file.</param>
/// <param name="LeastRank">The smallest rank of its products; 0 where it has none.</param>
/// <param name="MostRank">The largest.</param>
/// <param name="WholeChanges">Weights, norms, biases and modulations whose whole change is stored.</param>
/// <param name="NotRead">Keys that are not understood, or belong to a method that is not read.</param>
public sealed partial record LoraInspection(
    string Dialect, IReadOnlyDictionary<string, int> Targets, long LeastRank, long MostRank, int WholeChanges, IReadOnlyList<string> NotRead)
{
    // The first that a key begins with. Those without a program are wrappers that any of them may have.
    private static readonly (string Prefix, string Program)[] Programs =
    [
        ("lora_unet__", "VideoX-Fun"),
        ("lora_unet_", "kohya, musubi-tuner"),
        ("lora_transformer_", "kohya"),
        ("lycoris_", "LyCORIS"),
        ("base_model.model.", "peft"),
        ("transformer.", "Diffusers"),
        ("pipe.", "DiffSynth"),
        ("diffusion_model.", "ComfyUI"),
        ("model.diffusion_model.", "ComfyUI"),
        ("", "DiffSynth, LightX2V"),
    ];

    /// <summary>Looks at a file's keys; null where they are no LoRA's.</summary>
    /// <param name="source">The file, its tensors as they are stored.</param>
    public static LoraInspection? Of(ITensorSource source)
    {
        var (modules, ranks, whole, others) = (new OrderedDictionary<string, HashSet<string>>(StringComparer.Ordinal), new List<long>(), 0, new List<string>());
        foreach (var (key, entry) in source.Entries)
        {
            if (LoraDialects.Refused.Any(refused => key.Contains(refused.Part, StringComparison.Ordinal)) || LoraDialects.Split(key) is not var (stem, role))
            {
                others.Add(key);
                continue;
            }

            if (role == LoraRole.Down && entry.Shape.Length >= 2)
            {
                ranks.Add(entry.Shape[0]);
            }

            whole += role is LoraRole.Difference or LoraRole.BiasDifference or LoraRole.ModulationDifference ? 1 : 0;
            var module = LoraDialects.Candidates(stem).Last();
            var kind = Layer().Replace(module, "N", 1);
            modules.TryAdd(kind, []);
            modules[kind].Add(module);
        }

        // A checkpoint may have a key that ends as one of a LoRA's; a LoRA is one by its products or its changes.
        if (modules.Count == 0 || (ranks.Count == 0 && whole == 0))
        {
            return null;
        }

        var first = source.Entries.Keys.First(key => LoraDialects.Split(key) is not null);
        return new LoraInspection(
            Programs.First(program => first.StartsWith(program.Prefix, StringComparison.Ordinal)).Program,
            modules.ToDictionary(module => Line.Of(module.Key), module => module.Value.Count), ranks.DefaultIfEmpty(0).Min(), ranks.DefaultIfEmpty(0).Max(), whole, others);
    }

    // The first number amid a name is the layer's.
    [GeneratedRegex("(?<=[._])[0-9]+(?=[._])", RegexOptions.CultureInvariant)]
    private static partial Regex Layer();
}
