using NablaGen.Weights;

namespace NablaGen.Models.Wan.Layouts.Keys;

/// <summary>umT5's names in GGUF files (llama.cpp, architectures t5 and t5encoder).</summary>
internal static class LlamaTextKeys
{
    private static readonly KeyTable Table = new(
        ("token_embd", "token_embedding"),
        ("enc.blk.N.attn_norm", "blocks.N.norm1"),
        ("enc.blk.N.attn_q", "blocks.N.attn.q"),
        ("enc.blk.N.attn_k", "blocks.N.attn.k"),
        ("enc.blk.N.attn_v", "blocks.N.attn.v"),
        ("enc.blk.N.attn_o", "blocks.N.attn.o"),
        ("enc.blk.N.attn_rel_b", "blocks.N.pos_embedding.embedding"),
        ("enc.blk.N.ffn_norm", "blocks.N.norm2"),
        ("enc.blk.N.ffn_gate", "blocks.N.ffn.gate.0"),
        ("enc.blk.N.ffn_up", "blocks.N.ffn.fc1"),
        ("enc.blk.N.ffn_down", "blocks.N.ffn.fc2"),
        ("enc.output_norm", "norm"));

    /// <summary>Wan's own names; a key that no row has keeps its own, for the check to complain about.</summary>
    public static Func<string, string?> Names(IReadOnlySet<string> keys) => key => Table.Translate(key) ?? key;
}
