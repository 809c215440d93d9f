using NablaGen.Tensors;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>Self-attention among the pixels of each frame, one head. Port of AttentionBlock, wan/modules/vae.py.</summary>
public sealed class VaeAttention : Module<Tensor, Tensor>
{
    [ComponentName(Name = "norm")]
    private readonly VaeRmsNorm _norm;

    [ComponentName(Name = "to_qkv")]
    private readonly VaeConv2d _toQkv;

    [ComponentName(Name = "proj")]
    private readonly VaeConv2d _proj;

    /// <summary>A layer with unread weights.</summary>
    public VaeAttention(long dim, ModuleOptions options)
        : base(nameof(VaeAttention))
    {
        _norm = new VaeRmsNorm(dim, frames: true, options);
        _toQkv = new VaeConv2d(dim, dim * 3, 1, options);
        _proj = new VaeConv2d(dim, dim, 1, options);
        RegisterComponents();
    }

    /// <summary>[B, C, T, H, W] → [B, C, T, H, W].</summary>
    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        var frames = ChannelsLast.Frames(input);
        var qkv = _toQkv.forward(_norm.forward(frames)).flatten(2).transpose(1, 2).unsqueeze(1).chunk(3, -1);
        var y = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);
        var pixels = y.squeeze(1).transpose(1, 2).reshape(frames.shape);
        return ChannelsLast.Video(_proj.forward(pixels), input.shape[0]).Plus(input).MoveToOuterDisposeScope();
    }
}
