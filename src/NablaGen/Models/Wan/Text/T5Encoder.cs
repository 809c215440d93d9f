using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Text;

/// <summary>The umT5 encoder: token ids → hidden states. Port of T5Encoder, wan/modules/t5.py; the parameters' names are the checkpoint's own.</summary>
/// <remarks>Not thread-safe: one call at a time, and no other thread may use its tensors meanwhile.</remarks>
public sealed class T5Encoder : Module<Tensor, Tensor?, Tensor>, ITextEncoder
{
    [ComponentName(Name = "token_embedding")]
    private readonly T5Embedding _tokenEmbedding;

    [ComponentName(Name = "pos_embedding")]
    private readonly T5RelativeEmbedding? _positions;

    [ComponentName(Name = "blocks")]
    private readonly ModuleList<T5Block> _blocks;

    [ComponentName(Name = "norm")]
    private readonly T5LayerNorm _norm;

    /// <summary>An encoder with unread weights.</summary>
    public T5Encoder(TextEncoderConfig config, ModuleOptions options)
        : base(nameof(T5Encoder))
    {
        Config = config;
        _tokenEmbedding = new T5Embedding(config.Vocab, config.Dim, options);
        _positions = config.SharedPos ? new T5RelativeEmbedding(config, options) : null;
        _blocks = new ModuleList<T5Block>(Enumerable.Range(0, config.NumLayers).Select(_ => new T5Block(config, options)).ToArray());
        _norm = new T5LayerNorm(config.Dim, options);
        RegisterComponents();
    }

    /// <summary>The sizes.</summary>
    public TextEncoderConfig Config { get; }

    /// <summary>[B, L] token ids → [B, L, C].</summary>
    /// <param name="ids">Token ids, int64. [B, L]</param>
    /// <param name="mask">1 at true tokens and 0 at padding; null when there is no padding. [B, L]</param>
    public override Tensor forward(Tensor ids, Tensor? mask)
    {
        using var scope = NewDisposeScope();
        var masked = mask?.IsEqualTo(0).unsqueeze(1).unsqueeze(1);
        var bias = _positions?.forward(ids.shape[1]);
        var x = _tokenEmbedding.forward(ids);
        foreach (var block in _blocks)
        {
            var before = x;
            x = block.forward(before, masked, bias);
            before.Dispose();
        }

        return _norm.forward(x).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Encodes one prompt's true tokens. What the reference computes at 512 and cuts is the same: padding is masked out and
    /// positions are relative. [length] → [1, length, C]
    /// </summary>
    public Tensor Encode(IReadOnlyList<int> ids)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var device = parameters().First().device;
        return forward(tensor(ids.Select(id => (long)id).ToArray()).to(device).unsqueeze(0), null).MoveToOuterDisposeScope();
    }
}
