using NablaGen.Tensors;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// Halves height and width and, if asked, halves time from the second chunk on. Port of Resample (downsample2d, downsample3d),
/// wan/modules/vae.py.
/// </summary>
public sealed class Downsample : Module<Tensor, FeatureCache?, Tensor>
{
    [ComponentName(Name = "resample")]
    private readonly ResamplePath _resample;

    [ComponentName(Name = "time_conv")]
    private readonly CausalConv3d? _timeConv;

    /// <summary>A layer with unread weights.</summary>
    public Downsample(long dim, bool time, ModuleOptions options)
        : base(nameof(Downsample))
    {
        _resample = new ResamplePath(new VaeConv2d(dim, dim, 3, options, stride: 2));
        _timeConv = time ? new CausalConv3d(dim, dim, (3, 1, 1), options, timeStride: 2, padTime: false) : null;
        RegisterComponents();
    }

    /// <summary>[B, C, T, H, W] → [B, C, T or T / 2, H / 2, W / 2]. The first frame of a video stays one.</summary>
    /// <param name="input">A chunk of frames, or the whole video.</param>
    /// <param name="cache">The frames before the chunk; null where the input is the whole video.</param>
    public override Tensor forward(Tensor input, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        // One row below and one column to the right, not one on each side.
        var frames = functional.pad(ChannelsLast.Frames(input), [0, 1, 0, 1]);
        var x = ChannelsLast.Video(_resample.Conv.forward(frames), input.shape[0]);
        if (_timeConv is null || (cache is null && x.shape[2] == 1))
        {
            return x.MoveToOuterDisposeScope();
        }

        if (cache is null)
        {
            return cat([x.narrow(2, 0, 1), _timeConv.forward(x, null)], 2).MoveToOuterDisposeScope();
        }

        var before = cache.Get(this);
        var joined = before is null ? x : cat([before, x], 2);
        cache.Keep(this, x, 1);
        return (before is null ? x : _timeConv.forward(joined, null)).MoveToOuterDisposeScope();
    }
}
