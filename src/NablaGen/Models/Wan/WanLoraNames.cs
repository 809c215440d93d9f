using System.Text.RegularExpressions;
using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Weights;
using NablaGen.Weights.Lora;

namespace NablaGen.Models.Wan;

/// <summary>What LoRAs call the tensors of Wan's transformers: their own names and those of diffusers.</summary>
internal static partial class WanLoraNames
{
    // Parts that Wan2.1's models for pictures or VACE have, and text-to-video's and Wan2.2's have not; by both names.
    private static readonly (string Part, string Wan, string? Diffusers)[] Optional =
    [
        ("img_emb", "img_emb", "condition_embedder.image_embedder"),
        ("vace_blocks", "vace_blocks", null),
        ("vace_patch_embedding", "vace_patch_embedding", null),
    ];

    private static readonly (string Part, string Wan)[] OptionalInLayer =
    [
        ("k_img", "cross_attn.k_img"),
        ("v_img", "cross_attn.v_img"),
        ("norm_k_img", "cross_attn.norm_k_img"),
    ];

    /// <summary>The names of a transformer's tensors.</summary>
    /// <param name="transformer">The transformer.</param>
    public static LoraNames Of(ITensorSource transformer)
    {
        var keys = transformer.Entries.Keys;
        var layers = keys.Select(key => Layer().Match(key)).Where(match => match.Success).Select(match => match.Groups["layer"].Value).Distinct();
        var optional = Optional.Concat(layers.SelectMany(
            layer => OptionalInLayer.Select(one => (one.Part, Wan: layer + one.Wan, Diffusers: DiffusersTransformerKeys.Of(layer + one.Wan)))));
        var absent = optional.Where(one => !keys.Any(key => key.StartsWith(one.Wan + ".", StringComparison.Ordinal)));
        return new LoraNames(keys, DiffusersTransformerKeys.Of, absent.SelectMany(
            one => new[] { one.Wan, one.Diffusers }.OfType<string>().Select(module => (module, one.Part))));
    }

    [GeneratedRegex("^(?<layer>(?:vace_)?blocks\\.[0-9]+\\.)", RegexOptions.CultureInvariant)]
    private static partial Regex Layer();
}
