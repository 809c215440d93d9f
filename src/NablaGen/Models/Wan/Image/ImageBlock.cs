using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Image;

/// <summary>One layer: attention and feed-forward, each with its norm before it; the residual stream is float32. Port of AttentionBlock, wan/modules/clip.py.</summary>
public sealed class ImageBlock : Module<Tensor, Tensor>
{
    [ComponentName(Name = "norm1")]
    private readonly WanLayerNorm _norm1;

    [ComponentName(Name = "attn")]
    private readonly ImageAttention _attention;

    [ComponentName(Name = "norm2")]
    private readonly WanLayerNorm _norm2;

    [ComponentName(Name = "mlp")]
    private readonly ImageFeedForward _mlp;

    /// <summary>A layer with unread weights.</summary>
    public ImageBlock(ImageEncoderConfig config, ModuleOptions options)
        : base(nameof(ImageBlock))
    {
        _norm1 = new WanLayerNorm(config.Dim, config.Eps, options, affine: true);
        _attention = new ImageAttention(config, options);
        _norm2 = new WanLayerNorm(config.Dim, config.Eps, options, affine: true);
        _mlp = new ImageFeedForward(config, options);
        RegisterComponents();
    }

    /// <summary>[B, L, C] → [B, L, C], float32.</summary>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var y = x.Plus(_attention.forward(_norm1.forward(x)));
        return y.Plus(_mlp.forward(_norm2.forward(y))).MoveToOuterDisposeScope();
    }

    /// <summary>Linear, exact GELU, linear. The checkpoint numbers the layers of its Sequential; 1 (GELU) has no weights.</summary>
    private sealed class ImageFeedForward : Module<Tensor, Tensor>
    {
        [ComponentName(Name = "0")]
        private readonly AutocastLinear _in;

        [ComponentName(Name = "2")]
        private readonly AutocastLinear _out;

        public ImageFeedForward(ImageEncoderConfig config, ModuleOptions options)
            : base(nameof(ImageFeedForward))
        {
            _in = new AutocastLinear(config.Dim, config.Dim * config.MlpRatio, options);
            _out = new AutocastLinear(config.Dim * config.MlpRatio, config.Dim, options);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            return _out.forward(functional.gelu(_in.forward(x), TorchSharp.Modules.GELU.Approximate.none)).MoveToOuterDisposeScope();
        }
    }
}
