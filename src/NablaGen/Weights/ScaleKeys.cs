namespace NablaGen.Weights;

/// <summary>What a key beside a quantised weight holds.</summary>
internal enum ScaleRole
{
    /// <summary>Nothing of the kind: a tensor of the model itself.</summary>
    None,

    /// <summary>Says that the file has scales; no numbers in it count.</summary>
    Marker,

    /// <summary>The factor of the weight beside it, one for the tensor or one for each row.</summary>
    Scale,

    /// <summary>The scale of a layer's input, for products in 8 bits alone: the weight does not depend on it.</summary>
    InputScale,

    /// <summary>JSON that names the number format.</summary>
    Description,

    /// <summary>Part of a number format that can't be read.</summary>
    Refused,
}

/// <summary>The names of what stands beside quantised weights, by the last part of a key. The one table of them.</summary>
internal static class ScaleKeys
{
    /// <summary>What an error about another number format asks for.</summary>
    public const string Readable = "expected bf16, fp16, fp32, fp8 or int8 with a scale a tensor or a row, or GGUF";

    private static readonly Dictionary<string, (ScaleRole Role, string Format)> Names = new(StringComparer.Ordinal)
    {
        // ComfyUI's first layout, then its second, which is LightX2V's too.
        ["scaled_fp8"] = (ScaleRole.Marker, "scaled fp8"),
        ["scale_weight"] = (ScaleRole.Scale, "scaled fp8"),
        ["scale_input"] = (ScaleRole.InputScale, "scaled fp8"),
        ["weight_scale"] = (ScaleRole.Scale, "scaled fp8 or int8"),
        ["input_scale"] = (ScaleRole.InputScale, "scaled fp8 or int8"),
        ["comfy_quant"] = (ScaleRole.Description, "ComfyUI's"),
        ["scale_weight_2"] = (ScaleRole.Refused, "nvfp4"),
        ["weight_scale_2"] = (ScaleRole.Refused, "nvfp4"),
        ["weight_global_scale"] = (ScaleRole.Refused, "LightX2V's nvfp4"),
        ["input_global_scale"] = (ScaleRole.Refused, "LightX2V's nvfp4"),
        ["pre_quant_scale"] = (ScaleRole.Refused, "a smoothed one"),
        ["smooth_scale"] = (ScaleRole.Refused, "a smoothed one"),
        ["int8_weight"] = (ScaleRole.Refused, "TurboDiffusion's int8 in blocks"),
        ["scale"] = (ScaleRole.Refused, "one with scales of blocks"),
        ["scales"] = (ScaleRole.Refused, "GPTQ or AWQ"),
        ["qweight"] = (ScaleRole.Refused, "GPTQ or AWQ"),
        ["qzeros"] = (ScaleRole.Refused, "GPTQ or AWQ"),
        ["g_idx"] = (ScaleRole.Refused, "GPTQ"),
        ["zero_point"] = (ScaleRole.Refused, "one with zero points"),
        ["weight_zero_point"] = (ScaleRole.Refused, "one with zero points"),
        ["_data"] = (ScaleRole.Refused, "quanto's"),
        ["_scale"] = (ScaleRole.Refused, "quanto's"),
        ["absmax"] = (ScaleRole.Refused, "bitsandbytes'"),
        ["nested_absmax"] = (ScaleRole.Refused, "bitsandbytes'"),
        ["quant_map"] = (ScaleRole.Refused, "bitsandbytes'"),
        ["nested_quant_map"] = (ScaleRole.Refused, "bitsandbytes'"),
        ["SCB"] = (ScaleRole.Refused, "bitsandbytes'"),
    };

    /// <summary>What a key holds, and the name of its number format.</summary>
    public static (ScaleRole Role, string Format) Of(string key) => Names.GetValueOrDefault(key[(key.LastIndexOf('.') + 1)..]);

    /// <summary>The module that a key's last part belongs to.</summary>
    public static string Module(string key) => key[..Math.Max(0, key.LastIndexOf('.'))];
}
