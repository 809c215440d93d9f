using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Image;

/// <summary>Self-attention among a picture's tokens. Port of SelfAttention, wan/modules/clip.py.</summary>
public sealed class ImageAttention : Module<Tensor, Tensor>
{
    private readonly int _heads;

    [ComponentName(Name = "to_qkv")]
    private readonly AutocastLinear _toQkv;

    [ComponentName(Name = "proj")]
    private readonly AutocastLinear _proj;

    /// <summary>A layer with unread weights.</summary>
    public ImageAttention(ImageEncoderConfig config, ModuleOptions options)
        : base(nameof(ImageAttention))
    {
        _heads = config.NumHeads;
        _toQkv = new AutocastLinear(config.Dim, config.Dim * 3, options);
        _proj = new AutocastLinear(config.Dim, config.Dim, options);
        RegisterComponents();
    }

    /// <summary>[B, L, C] → [B, L, C].</summary>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var qkv = _toQkv.forward(x).unflatten(2, [3, _heads, -1]).permute(2, 0, 3, 1, 4);
        var y = functional.scaled_dot_product_attention(qkv.select(0, 0), qkv.select(0, 1), qkv.select(0, 2));
        return _proj.forward(y.transpose(1, 2).flatten(2)).MoveToOuterDisposeScope();
    }
}
