using NablaGen.Weights;

namespace NablaGen.Models.Wan.Layouts.Keys;

/// <summary>The transformer's names in the Diffusers library (scripts/convert_wan_to_diffusers.py), whose norm2 is Wan's norm3.</summary>
internal static class DiffusersTransformerKeys
{
    private static readonly KeyTable Table = new(
        ("patch_embedding", "patch_embedding"),
        ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
        ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
        ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
        ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
        ("condition_embedder.time_proj", "time_projection.1"),
        ("condition_embedder.image_embedder.norm1", "img_emb.proj.0"),
        ("condition_embedder.image_embedder.ff.net.0.proj", "img_emb.proj.1"),
        ("condition_embedder.image_embedder.ff.net.2", "img_emb.proj.3"),
        ("condition_embedder.image_embedder.norm2", "img_emb.proj.4"),
        ("condition_embedder.image_embedder.pos_embed", "img_emb.emb_pos"),
        ("blocks.N.attn1.to_q", "blocks.N.self_attn.q"),
        ("blocks.N.attn1.to_k", "blocks.N.self_attn.k"),
        ("blocks.N.attn1.to_v", "blocks.N.self_attn.v"),
        ("blocks.N.attn1.to_out.0", "blocks.N.self_attn.o"),
        ("blocks.N.attn1.norm_q", "blocks.N.self_attn.norm_q"),
        ("blocks.N.attn1.norm_k", "blocks.N.self_attn.norm_k"),
        ("blocks.N.attn2.to_q", "blocks.N.cross_attn.q"),
        ("blocks.N.attn2.to_k", "blocks.N.cross_attn.k"),
        ("blocks.N.attn2.to_v", "blocks.N.cross_attn.v"),
        ("blocks.N.attn2.to_out.0", "blocks.N.cross_attn.o"),
        ("blocks.N.attn2.norm_q", "blocks.N.cross_attn.norm_q"),
        ("blocks.N.attn2.norm_k", "blocks.N.cross_attn.norm_k"),
        ("blocks.N.attn2.add_k_proj", "blocks.N.cross_attn.k_img"),
        ("blocks.N.attn2.add_v_proj", "blocks.N.cross_attn.v_img"),
        ("blocks.N.attn2.norm_added_k", "blocks.N.cross_attn.norm_k_img"),
        ("blocks.N.norm2", "blocks.N.norm3"),
        ("blocks.N.ffn.net.0.proj", "blocks.N.ffn.0"),
        ("blocks.N.ffn.net.2", "blocks.N.ffn.2"),
        ("blocks.N.scale_shift_table", "blocks.N.modulation"),
        ("scale_shift_table", "head.modulation"),
        ("proj_out", "head.head"));

    private static readonly KeyTable FromWan = Table.Inverse;

    /// <summary>Diffusers' name of a tensor or module of Wan's; null where no row has it.</summary>
    public static string? Of(string key) => FromWan.Translate(key);

    /// <summary>Wan's own names; a key that no row has keeps its own, for the check to complain about.</summary>
    public static Func<string, string?> Names(IReadOnlySet<string> keys) => key => Table.Translate(key) ?? key;
}
