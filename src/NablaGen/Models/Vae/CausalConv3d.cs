using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Vae;

/// <summary>
/// A 3D convolution that sees no later frame: time is padded in front, with the frames before this chunk where they are known and
/// zeros where not. Port of CausalConv3d and the caching around it, wan/modules/vae.py.
/// </summary>
public sealed class CausalConv3d : Module<Tensor, FeatureCache?, Tensor>
{
    private readonly long[] _stride;
    private readonly long _framesBefore;
    private readonly long _padHeight;
    private readonly long _padWidth;

    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    [ComponentName(Name = "bias")]
    private readonly Parameter _bias;

    /// <summary>A layer with unread weights. A kernel side of 3 pads height and width by 1; time is padded by two frames when <paramref name="padTime"/>.</summary>
    public CausalConv3d(
        long inputs, long outputs, (long Time, long Height, long Width) kernel, ModuleOptions options, long timeStride = 1, bool padTime = true)
        : base(nameof(CausalConv3d))
    {
        _stride = [timeStride, 1, 1];
        _framesBefore = padTime ? kernel.Time - 1 : 0;
        (_padHeight, _padWidth) = (kernel.Height / 2, kernel.Width / 2);
        _weight = options.Parameter(outputs, inputs, kernel.Time, kernel.Height, kernel.Width);
        _bias = options.Parameter(outputs);
        RegisterComponents();
    }

    /// <summary>[B, inputs, T, H, W] → [B, outputs, T / stride, H, W].</summary>
    /// <param name="input">A chunk of frames.</param>
    /// <param name="cache">The frames before it; null to see none.</param>
    public override Tensor forward(Tensor input, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        var x = input;
        var zeros = _framesBefore;
        if (_framesBefore > 0 && cache is not null)
        {
            if (cache.Get(this) is { } before)
            {
                x = cat([before, x], 2);
                zeros -= before.shape[2];
            }

            cache.Keep(this, x, (int)_framesBefore);
        }

        if (zeros > 0)
        {
            x = functional.pad(x, [0, 0, 0, 0, zeros, 0]);
        }

        return functional.conv3d(x, _weight, _bias, _stride, [0, _padHeight, _padWidth]).MoveToOuterDisposeScope();
    }
}
