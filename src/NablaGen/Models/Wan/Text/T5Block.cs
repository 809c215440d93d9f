using NablaGen.Tensors;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Text;

/// <summary>One encoder block. Port of T5SelfAttention, wan/modules/t5.py.</summary>
public sealed class T5Block : Module<Tensor, Tensor?, Tensor?, Tensor>
{
    [ComponentName(Name = "norm1")]
    private readonly T5LayerNorm _norm1;

    [ComponentName(Name = "attn")]
    private readonly T5Attention _attention;

    [ComponentName(Name = "norm2")]
    private readonly T5LayerNorm _norm2;

    [ComponentName(Name = "ffn")]
    private readonly T5FeedForward _ffn;

    [ComponentName(Name = "pos_embedding")]
    private readonly T5RelativeEmbedding? _positions;

    /// <summary>A block of a configuration; it has a position bias of its own unless all share one.</summary>
    public T5Block(TextEncoderConfig config, ModuleOptions options)
        : base(nameof(T5Block))
    {
        _norm1 = new T5LayerNorm(config.Dim, options);
        _attention = new T5Attention(config, options);
        _norm2 = new T5LayerNorm(config.Dim, options);
        _ffn = new T5FeedForward(config, options);
        _positions = config.SharedPos ? null : new T5RelativeEmbedding(config, options);
        RegisterComponents();
    }

    /// <summary>[B, L, C] → [B, L, C].</summary>
    /// <param name="x">Hidden states. [B, L, C]</param>
    /// <param name="masked">True at keys that are padding, or null. [B, 1, 1, L]</param>
    /// <param name="sharedBias">The bias that all blocks share, or null. [1, H, L, L]</param>
    public override Tensor forward(Tensor x, Tensor? masked, Tensor? sharedBias)
    {
        using var scope = NewDisposeScope();
        var bias = sharedBias ?? _positions!.forward(x.shape[1]);
        if (masked is not null)
        {
            bias = bias.expand(x.shape[0], -1, -1, -1).Masked(masked, finfo(x.dtype).min);
        }

        x = x.Plus(_attention.forward(_norm1.forward(x), bias));
        return x.Plus(_ffn.forward(_norm2.forward(x))).MoveToOuterDisposeScope();
    }
}
