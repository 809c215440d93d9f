namespace NablaGen.Weights.Lora;

/// <summary>
/// How trainers and converters spell the keys of a LoRA: something before the module's name, the name with points or underscores, and an
/// ending that says which part it is. Names themselves are the model family's: see <see cref="LoraNames"/>.
/// </summary>
internal static class LoraDialects
{
    private const int MostPrefixes = 4;

    /// <summary>What may stand before a module's name; a few may follow one another (<c>base_model.model.diffusion_model.</c>).</summary>
    public static IReadOnlyList<string> Prefixes { get; } =
    [
        "diffusion_model.",          // ComfyUI and most published files
        "model.",                    // before diffusion_model., in full checkpoints' names
        "base_model.model.",         // peft
        "transformer.",              // diffusers
        "pipe.dit.",                 // DiffSynth
        "pipe.",
        "dit.",
        "net.",
        "module.",                   // torch's data parallel
        "_orig_mod.",                // torch.compile
        "lora_unet__",               // VideoX-Fun
        "lora_unet_",                // kohya, musubi-tuner
        "lora_transformer_",
        "lycoris_",                  // LyCORIS
    ];

    /// <summary>The endings that are understood.</summary>
    public static IReadOnlyList<(string Ending, LoraRole Role)> Endings { get; } =
    [
        (".lora_A.weight", LoraRole.Down),
        (".lora_B.weight", LoraRole.Up),
        (".lora_A.default.weight", LoraRole.Down),
        (".lora_B.default.weight", LoraRole.Up),
        (".lora_down.weight", LoraRole.Down),
        (".lora_up.weight", LoraRole.Up),
        (".lora_down.default.weight", LoraRole.Down),
        (".lora_up.default.weight", LoraRole.Up),
        (".lora.down.weight", LoraRole.Down),
        (".lora.up.weight", LoraRole.Up),
        (".lora_B.bias", LoraRole.UpBias),
        (".lora_B.default.bias", LoraRole.UpBias),
        (".lora_up.bias", LoraRole.UpBias),
        (".alpha", LoraRole.Alpha),
        (".diff", LoraRole.Difference),
        (".w_norm", LoraRole.Difference),
        (".diff_b", LoraRole.BiasDifference),
        (".b_norm", LoraRole.BiasDifference),
        (".diff_m", LoraRole.ModulationDifference),
    ];

    /// <summary>Parts of methods that are not read, with the method's name; what is in a key decides.</summary>
    public static IReadOnlyList<(string Part, string Method)> Refused { get; } =
    [
        (".dora_scale", "DoRA"),
        (".lora_magnitude_vector", "DoRA"),
        (".set_weight", "weights set instead of changed"),
        (".reshape_weight", "weights of another shape"),
        (".lora_mid.", "a LoRA in three factors"),
        (".lokr_", "LoKr"),
        (".hada_", "LoHa"),
        (".oft_", "OFT"),
        (".oft_blocks", "OFT"),
        (".boft_", "BOFT"),
        (".glora_", "GLoRA"),
        (".a1.weight", "GLoRA"),
        (".b1.weight", "GLoRA"),
        (".ia3_", "IA3"),
        (".modules_to_save.", "whole weights beside a LoRA"),
    ];

    /// <summary>The part that a key's ending says, and what stands before it; null for an unknown ending.</summary>
    public static (string Stem, LoraRole Role)? Split(string key)
    {
        // No ending is the end of another.
        var found = Endings.FirstOrDefault(ending => key.EndsWith(ending.Ending, StringComparison.Ordinal));
        return found.Ending is null ? null : (key[..^found.Ending.Length], found.Role);
    }

    /// <summary>A stem without one prefix after another, the whole stem first.</summary>
    public static IEnumerable<string> Candidates(string stem) => Candidates(stem, MostPrefixes);

    private static IEnumerable<string> Candidates(string stem, int prefixes)
    {
        yield return stem;
        foreach (var prefix in Prefixes.Where(prefix => prefixes > 0 && stem.StartsWith(prefix, StringComparison.Ordinal)))
        {
            foreach (var candidate in Candidates(stem[prefix.Length..], prefixes - 1))
            {
                yield return candidate;
            }
        }
    }
}

/// <summary>What a key of a LoRA holds.</summary>
internal enum LoraRole
{
    /// <summary>A in W + B A: [rank, in].</summary>
    Down,

    /// <summary>B in W + B A: [out, rank].</summary>
    Up,

    /// <summary>The bias that comes with B.</summary>
    UpBias,

    /// <summary>A number: the product is multiplied by it over the rank.</summary>
    Alpha,

    /// <summary>The whole change of a weight.</summary>
    Difference,

    /// <summary>The change of a bias.</summary>
    BiasDifference,

    /// <summary>The change of a layer's or the head's modulation.</summary>
    ModulationDifference,
}
