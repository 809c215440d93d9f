using NablaGen.Tensors;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// Doubles height and width, halves the channels (not in Wan2.2's VAE) and, if asked, doubles time from the second chunk on. Port of Resample (upsample2d,
/// upsample3d), wan/modules/vae.py.
/// </summary>
public sealed class Upsample : Module<Tensor, FeatureCache?, Tensor>
{
    [ComponentName(Name = "resample")]
    private readonly ResamplePath _resample;

    [ComponentName(Name = "time_conv")]
    private readonly CausalConv3d? _timeConv;

    /// <summary>A layer with unread weights.</summary>
    /// <param name="dim">Channels that go in.</param>
    /// <param name="time">Whether it doubles time.</param>
    /// <param name="options">Where it is, and its type.</param>
    /// <param name="outputs">Channels that come out; null for half of those that go in.</param>
    public Upsample(long dim, bool time, ModuleOptions options, long? outputs = null)
        : base(nameof(Upsample))
    {
        _resample = new ResamplePath(new VaeConv2d(dim, outputs ?? dim / 2, 3, options, padding: 1));
        _timeConv = time ? new CausalConv3d(dim, dim * 2, (3, 1, 1), options) : null;
        RegisterComponents();
    }

    /// <summary>[B, C, T, H, W] → [B, C / 2, T or 2 T, 2 H, 2 W]. The first frame of a video stays one.</summary>
    /// <param name="input">A chunk of frames, or the whole video.</param>
    /// <param name="cache">The frames before the chunk; null where the input is the whole video.</param>
    public override Tensor forward(Tensor input, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        return InSpace(InTime(input, cache)).MoveToOuterDisposeScope();
    }

    /// <summary>The first half: [B, C, T, H, W] → [B, C, T or 2 T, H, W].</summary>
    internal Tensor InTime(Tensor input, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        var x = input;
        if (_timeConv is not null && cache is not null && !cache.IsFirstChunk(this))
        {
            x = DoubleTime(_timeConv, x, cache);
        }
        else if (_timeConv is not null && cache is null && x.shape[2] > 1)
        {
            // The first frame takes no part, here as chunk by chunk: what comes after it sees zeros in its place.
            x = cat([x.narrow(2, 0, 1), DoubleTime(_timeConv, x.narrow(2, 1, x.shape[2] - 1), null)], 2);
        }

        return (ReferenceEquals(x, input) ? x.alias() : x).MoveToOuterDisposeScope();
    }

    /// <summary>The second half, which sees each frame by itself: [B, C, T, H, W] → [B, C / 2, T, 2 H, 2 W].</summary>
    internal Tensor InSpace(Tensor input) => _resample.Conv.Doubled(input);

    // Twice the channels become twice the frames: channel halves are neighbours in time.
    private static Tensor DoubleTime(CausalConv3d timeConv, Tensor x, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        var halves = ChannelsLast.Pixels(timeConv.forward(x, cache)).unflatten(4, [2, x.shape[1]]);
        return ChannelsLast.Shaped(halves.permute(0, 1, 4, 2, 3, 5).flatten(1, 2)).MoveToOuterDisposeScope();
    }
}
