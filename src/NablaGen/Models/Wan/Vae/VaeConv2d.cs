using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>A plain 2D convolution of every frame by itself.</summary>
public sealed class VaeConv2d : Module<Tensor, Tensor>
{
    private readonly long[] _stride;
    private readonly long[] _padding;
    private readonly bool _isDifferentiable;

    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    [ComponentName(Name = "bias")]
    private readonly Parameter _bias;

    /// <summary>A layer with unread weights.</summary>
    public VaeConv2d(long inputs, long outputs, long kernel, ModuleOptions options, long stride = 1, long padding = 0)
        : base(nameof(VaeConv2d))
    {
        (_stride, _padding, _isDifferentiable) = ([stride, stride], [padding, padding], options.IsDifferentiable);
        _weight = options.Parameter(outputs, inputs, kernel, kernel);
        _bias = options.Parameter(outputs);
        RegisterComponents();
    }

    /// <summary>[N, inputs, H, W] → [N, outputs, H / stride, W / stride].</summary>
    public override Tensor forward(Tensor input)
    {
        if (!_isDifferentiable && Pointwise.Fits(input, _weight))
        {
            return Pointwise.Run(input, _weight, _bias);
        }

        using var scope = NewDisposeScope();
        var x = _isDifferentiable ? input : Pointwise.Input(input, _weight);
        return functional.conv2d(x, _weight, _bias, _stride, _padding).MoveToOuterDisposeScope();
    }

    /// <summary>The convolution of frames whose height and width are doubled first, each pixel four times. [B, inputs, T, H, W] → [B, outputs, T, 2 H, 2 W]</summary>
    /// <param name="input">The frames.</param>
    internal Tensor Doubled(Tensor input)
    {
        using var scope = NewDisposeScope();
        if (!_isDifferentiable && _stride[0] == 1 && ConvolutionOp.Shape(input, _weight, doubles: true) is { } shape)
        {
            Tensor[] all = [.. Enumerable.Range(0, (int)input.shape[2]).Select(frame => ChannelsLast.Of(input.narrow(2, frame, 1)))];
            return ConvolutionOp.Run(shape, all, 0, _weight, _bias).MoveToOuterDisposeScope();
        }

        var frames = functional.interpolate(ChannelsLast.Frames(input), scale_factor: [2, 2], mode: InterpolationMode.Nearest);
        return ChannelsLast.Video(forward(frames), input.shape[0]).MoveToOuterDisposeScope();
    }
}
