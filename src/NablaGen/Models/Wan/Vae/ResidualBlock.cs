using NablaGen.Tensors;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>Two normalised causal convolutions beside a shortcut. Port of ResidualBlock, wan/modules/vae.py.</summary>
public sealed class ResidualBlock : Module<Tensor, FeatureCache?, Tensor>
{
    [ComponentName(Name = "residual")]
    private readonly ResidualPath _residual;

    [ComponentName(Name = "shortcut")]
    private readonly CausalConv3d? _shortcut;

    /// <summary>A block with unread weights.</summary>
    public ResidualBlock(long inputs, long outputs, ModuleOptions options)
        : base(nameof(ResidualBlock))
    {
        _residual = new ResidualPath(inputs, outputs, options);
        _shortcut = inputs == outputs ? null : new CausalConv3d(inputs, outputs, (1, 1, 1), options);
        RegisterComponents();
    }

    /// <summary>[B, inputs, T, H, W] → [B, outputs, T, H, W].</summary>
    public override Tensor forward(Tensor input, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        using var second = _residual.Prepare(input, cache);
        var shortcut = _shortcut is null ? input : _shortcut.forward(input, cache);
        return _residual.Finish(second, shortcut).MoveToOuterDisposeScope();
    }

    /// <summary>The checkpoint numbers the layers of its Sequential; 1, 4 (SiLU) and 5 (dropout) have no weights.</summary>
    private sealed class ResidualPath : Module
    {
        [ComponentName(Name = "0")]
        private readonly VaeRmsNorm _norm1;

        [ComponentName(Name = "2")]
        private readonly CausalConv3d _conv1;

        [ComponentName(Name = "3")]
        private readonly VaeRmsNorm _norm2;

        [ComponentName(Name = "6")]
        private readonly CausalConv3d _conv2;

        public ResidualPath(long inputs, long outputs, ModuleOptions options)
            : base(nameof(ResidualPath))
        {
            _norm1 = new VaeRmsNorm(inputs, frames: false, options);
            _conv1 = new CausalConv3d(inputs, outputs, (3, 3, 3), options);
            _norm2 = new VaeRmsNorm(outputs, frames: false, options);
            _conv2 = new CausalConv3d(outputs, outputs, (3, 3, 3), options);
            RegisterComponents();
        }

        // All but the last convolution, whose input comes out. Each tensor is freed as soon as it is used: at full resolution these are the
        // largest of all.
        public ConvolutionInput Prepare(Tensor input, FeatureCache? cache)
        {
            using var scope = NewDisposeScope();
            using var first = _conv1.Prepare(input, _norm1, cache);
            var x = _conv1.Convolve(first);
            first.Dispose();
            return _conv2.Prepare(x, _norm2, cache);
        }

        // The last convolution, and the shortcut added.
        public Tensor Finish(ConvolutionInput second, Tensor shortcut) => _conv2.Convolve(second, shortcut);
    }
}
