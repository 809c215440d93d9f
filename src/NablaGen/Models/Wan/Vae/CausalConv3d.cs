using NablaGen.Cuda.Convolution;
using NablaGen.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// A 3D convolution that sees no later frame. A chunk is preceded by the frames before it, or by zeros where there are none.
/// Port of CausalConv3d and the caching around it, wan/modules/vae.py.
/// </summary>
public sealed class CausalConv3d : Module<Tensor, FeatureCache?, Tensor>
{
    // cuDNN's tensor-core kernels take 16-bit channels eight at a time.
    private const long ChannelStep = 8;

    private readonly long _timeStride;
    private readonly long _framesBefore;
    private readonly long[] _padding;
    private readonly bool _isDifferentiable;

    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    [ComponentName(Name = "bias")]
    private readonly Parameter _bias;

    /// <summary>A layer with unread weights. A kernel side of 3 pads height and width by 1; time is padded by two frames when <paramref name="padTime"/>.</summary>
    public CausalConv3d(
        long inputs, long outputs, (long Time, long Height, long Width) kernel, ModuleOptions options, long timeStride = 1, bool padTime = true)
        : base(nameof(CausalConv3d))
    {
        (_timeStride, _isDifferentiable) = (timeStride, options.IsDifferentiable);
        _framesBefore = padTime ? kernel.Time - 1 : 0;
        _padding = [kernel.Height / 2, kernel.Width / 2];
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
        using var x = Prepare(input, null, cache);
        return Convolve(x).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The input of <see cref="Convolve"/>: the frames before, and this chunk, written by the norm and SiLU where the convolution reads it. The
    /// input is no longer needed then.
    /// </summary>
    /// <param name="input">A chunk of frames. [B, inputs, T, H, W]</param>
    /// <param name="norm">Applied to the chunk, with SiLU; null for neither.</param>
    /// <param name="cache">The frames before it; null to see none.</param>
    internal ConvolutionInput Prepare(Tensor input, VaeRmsNorm? norm, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        if (OwnShape(input) is not null)
        {
            return Apart(input, norm, cache);
        }

        if (_framesBefore == 0)
        {
            return ConvolutionInput.Of(norm is null ? ChannelsLast.Of(input) : norm.Activate(input));
        }

        var before = cache?.Get(this);
        var x = _isDifferentiable ? Joined(input, norm, before) : Written(input, norm, before);
        cache?.Keep(this, x, _framesBefore);
        return ConvolutionInput.Of(x);
    }

    /// <summary>The convolution of what <see cref="Prepare"/> gave, plus <paramref name="addend"/> if there is one. [B, outputs, T / stride, H, W]</summary>
    internal Tensor Convolve(ConvolutionInput input, Tensor? addend = null)
    {
        using var scope = NewDisposeScope();
        if (input.Joined is { } x)
        {
            var y = ConvolveJoined(x);
            return (addend is null ? y : _isDifferentiable ? y.Plus(addend) : y.Plus_(addend)).MoveToOuterDisposeScope();
        }

        var shape = OwnShape(input.Frames[0])!.Value;
        return ConvolutionOp.Run(shape, input.Frames, input.Missing, _weight, _bias, addend).MoveToOuterDisposeScope();
    }

    private ConvolutionShape? OwnShape(Tensor x) =>
        _isDifferentiable || _timeStride != 1 || _framesBefore != _weight.shape[2] - 1 ? null : ConvolutionOp.Shape(x, _weight);

    // Each frame by itself, written where the cache says; when they have been read, it keeps the last.
    private ConvolutionInput Apart(Tensor input, VaeRmsNorm? norm, FeatureCache? cache)
    {
        var chunk = Enumerable.Range(0, (int)input.shape[2]).Select(frame => input.narrow(2, frame, 1));
        if (cache is null || (_framesBefore == 0 && norm is null))
        {
            return ConvolutionInput.Of(chunk.Select(frame => norm is null ? ChannelsLast.Of(frame) : norm.Activate(frame)), _framesBefore);
        }

        var before = cache.Frames(this);
        Tensor[] frames = [.. before, .. chunk.Select(frame => Rented(frame, norm, cache))];
        return ConvolutionInput.Of(frames, _framesBefore - before.Count, () => cache.Keep(this, frames, frames.Length - before.Count, (int)_framesBefore));
    }

    private static Tensor Rented(Tensor frame, VaeRmsNorm? norm, FeatureCache cache)
    {
        var y = cache.Rent(frame.shape, frame.dtype, frame.device);
        if (norm is null)
        {
            y.copy_(frame);
        }
        else
        {
            norm.ActivateInto(frame, y);
        }

        return y;
    }

    // Of frames in one tensor. [B, inputs, before + T, H, W]
    private Tensor ConvolveJoined(Tensor x)
    {
        using var scope = NewDisposeScope();
        if (IsSlowInLibtorch(x) || (!_isDifferentiable && Pointwise.Fits(x, _weight)))
        {
            return ByFrames(x).MoveToOuterDisposeScope();
        }

        var outputs = _weight.shape[0];
        var missing = x.device_type == DeviceType.CUDA && x.ElementSize == sizeof(short) ? (ChannelStep - outputs % ChannelStep) % ChannelStep : 0;
        if (missing == 0)
        {
            return Convolution(x, _weight, _bias).MoveToOuterDisposeScope();
        }

        var weight = functional.pad(_weight, [0, 0, 0, 0, 0, 0, 0, 0, 0, missing]);
        return Convolution(x, weight, functional.pad(_bias, [0, missing])).narrow(1, 0, outputs).MoveToOuterDisposeScope();
    }

    private Tensor Convolution(Tensor x, Tensor weight, Tensor bias) =>
        functional.conv3d(x, weight, bias, [_timeStride, 1, 1], [0, .. _padding]);

    // Differentiable.
    private Tensor Joined(Tensor input, VaeRmsNorm? norm, Tensor? before)
    {
        var x = norm is null ? input : norm.Activate(input);
        return ChannelsLast.Of(before is null ? functional.pad(x, [0, 0, 0, 0, _framesBefore, 0]) : cat([before, x], 2));
    }

    private Tensor Written(Tensor input, VaeRmsNorm? norm, Tensor? before)
    {
        var (frames, shape) = (input.shape[2], input.shape);
        shape[2] += _framesBefore;
        var x = ChannelsLast.Empty(shape, input.dtype, input.device);
        var (front, chunk) = (x.narrow(2, 0, _framesBefore), x.narrow(2, _framesBefore, frames));
        _ = before is null ? front.zero_() : front.copy_(before);
        if (norm is null)
        {
            chunk.copy_(input);
        }
        else
        {
            norm.ActivateInto(input, chunk);
        }

        return x;
    }

    // libtorch keeps what it thinks small from oneDNN: one video of at most 20,480 channels · frames · rows. Its own fallback takes three
    // to four times as long.
    private static bool IsSlowInLibtorch(Tensor x) =>
        x.device_type == DeviceType.CPU && x.shape[0] == 1 && x.shape[1] * x.shape[2] * x.shape[3] <= 20_480;

    // One 2D convolution of all frames for each frame that an output sees.
    private Tensor ByFrames(Tensor x)
    {
        var taps = _weight.shape[2];
        var reach = x.shape[2] - taps + 1;
        Tensor? sum = null;
        for (var tap = 0L; tap < taps; tap++)
        {
            var seen = ChannelsLast.Frames(x.slice(2, tap, tap + reach, _timeStride));
            var (weight, bias) = (_weight.select(2, tap), tap == 0 ? _bias : null);
            var part = !_isDifferentiable && Pointwise.Fits(seen, weight) ? Pointwise.Run(seen, weight, bias) : functional.conv2d(seen, weight, bias, [1, 1], _padding);
            sum = sum is null ? part : sum.Plus_(part);
        }

        return ChannelsLast.Video(sum!, x.shape[0]);
    }
}
