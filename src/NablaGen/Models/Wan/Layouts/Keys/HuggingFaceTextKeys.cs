using NablaGen.Weights;

namespace NablaGen.Models.Wan.Layouts.Keys;

/// <summary>umT5's names in Hugging Face's transformers (UMT5EncoderModel), which ComfyUI's files have too, some with the tokenizer inside.</summary>
internal static class HuggingFaceTextKeys
{
    /// <summary>The tokenizer's SentencePiece model in ComfyUI's files, as bytes.</summary>
    public const string Tokenizer = "spiece_model";

    // The embedding under its second name: the same tensor.
    private const string TiedEmbedding = "encoder.embed_tokens.weight";
    private const string Embedding = "shared.weight";

    private static readonly (string Theirs, string Ours)[] Rows =
    [
        ("shared", "token_embedding"),
        ("encoder.embed_tokens", "token_embedding"),
        ("encoder.block.N.layer.0.layer_norm", "blocks.N.norm1"),
        ("encoder.block.N.layer.0.SelfAttention.q", "blocks.N.attn.q"),
        ("encoder.block.N.layer.0.SelfAttention.k", "blocks.N.attn.k"),
        ("encoder.block.N.layer.0.SelfAttention.v", "blocks.N.attn.v"),
        ("encoder.block.N.layer.0.SelfAttention.o", "blocks.N.attn.o"),
        ("encoder.block.N.layer.0.SelfAttention.relative_attention_bias", "blocks.N.pos_embedding.embedding"),
        ("encoder.block.N.layer.1.layer_norm", "blocks.N.norm2"),
        ("encoder.block.N.layer.1.DenseReluDense.wi_0", "blocks.N.ffn.gate.0"),
        ("encoder.block.N.layer.1.DenseReluDense.wi_1", "blocks.N.ffn.fc1"),
        ("encoder.block.N.layer.1.DenseReluDense.wo", "blocks.N.ffn.fc2"),
        ("encoder.final_layer_norm", "norm"),
    ];

    private static readonly KeyTable Table = new(Rows);

    private static readonly KeyTable FromWan = new KeyTable([.. Rows.Where(row => row.Theirs != "encoder.embed_tokens")]).Inverse;

    /// <summary>Hugging Face's name of a tensor of Wan's; null where no row has it.</summary>
    public static string? Of(string key) => FromWan.Translate(key);

    /// <summary>Wan's own names; a key that no row has keeps its own, for the check to complain about.</summary>
    public static Func<string, string?> Names(IReadOnlySet<string> keys) => key =>
        key == Tokenizer || (key == TiedEmbedding && keys.Contains(Embedding)) ? null : Table.Translate(key) ?? key;
}
