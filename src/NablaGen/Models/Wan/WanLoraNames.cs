using System.Text.RegularExpressions;
using NablaGen.Weights;
using NablaGen.Weights.Lora;

namespace NablaGen.Models.Wan;

/// <summary>What LoRAs call the tensors of Wan's transformers: their own names and those of diffusers.</summary>
internal static partial class WanLoraNames
{
    // Wan's name of a module → diffusers', the longest first. Both have "blocks.N." and "vace_blocks.N." before those of a layer.
    private static readonly (string Wan, string Diffusers)[] Modules =
    [
        ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
        ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
        ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
        ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
        ("time_projection.1", "condition_embedder.time_proj"),
        ("img_emb.proj.0", "condition_embedder.image_embedder.norm1"),
        ("img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"),
        ("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
        ("img_emb.proj.4", "condition_embedder.image_embedder.norm2"),
        ("img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"),
        ("head.head", "proj_out"),
        ("head.modulation", "scale_shift_table"),
    ];

    private static readonly (string Wan, string Diffusers)[] LayerModules =
    [
        ("self_attn.q", "attn1.to_q"),
        ("self_attn.k", "attn1.to_k"),
        ("self_attn.v", "attn1.to_v"),
        ("self_attn.o", "attn1.to_out.0"),
        ("self_attn.norm_q", "attn1.norm_q"),
        ("self_attn.norm_k", "attn1.norm_k"),
        ("cross_attn.q", "attn2.to_q"),
        ("cross_attn.k", "attn2.to_k"),
        ("cross_attn.v", "attn2.to_v"),
        ("cross_attn.o", "attn2.to_out.0"),
        ("cross_attn.norm_q", "attn2.norm_q"),
        ("cross_attn.norm_k", "attn2.norm_k"),
        ("cross_attn.k_img", "attn2.add_k_proj"),
        ("cross_attn.v_img", "attn2.add_v_proj"),
        ("cross_attn.norm_k_img", "attn2.norm_added_k"),
        ("ffn.0", "ffn.net.0.proj"),
        ("ffn.2", "ffn.net.2"),
        ("norm3", "norm2"),
        ("modulation", "scale_shift_table"),
        ("before_proj", "proj_in"),
        ("after_proj", "proj_out"),
    ];

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
            layer => OptionalInLayer.Select(one => (one.Part, Wan: layer + one.Wan, Diffusers: Diffusers(layer + one.Wan)))));
        var absent = optional.Where(one => !keys.Any(key => key.StartsWith(one.Wan + ".", StringComparison.Ordinal)));
        return new LoraNames(keys, Diffusers, absent.SelectMany(
            one => new[] { one.Wan, one.Diffusers }.OfType<string>().Select(module => (module, one.Part))));
    }

    /// <summary>Diffusers' name of a tensor or module; null where it is the same.</summary>
    internal static string? Diffusers(string key)
    {
        var layer = Layer().Match(key) is { Success: true } match ? match.Groups["layer"].Value : "";
        var rest = key[layer.Length..];
        foreach (var (wan, diffusers) in layer.Length > 0 ? LayerModules : Modules)
        {
            if (rest == wan || rest.StartsWith(wan + ".", StringComparison.Ordinal))
            {
                return layer + diffusers + rest[wan.Length..];
            }
        }

        return null;
    }

    [GeneratedRegex("^(?<layer>(?:vace_)?blocks\\.[0-9]+\\.)", RegexOptions.CultureInvariant)]
    private static partial Regex Layer();
}
