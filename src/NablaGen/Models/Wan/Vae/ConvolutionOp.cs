using NablaGen.Cuda.Convolution;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>Convolutions by our own kernel, where it fits; libtorch's are the reference and the fallback.</summary>
internal static class ConvolutionOp
{
    /// <summary>The fewest outputs of the kernel: where there are fewer, such as three colours, it gets rows of zeros.</summary>
    public const int LeastOutputs = 32;

    /// <summary>Whether the kernel takes so many channels, on a device and in a type that have it (<see cref="CudaDevices.ConvolvesFramesApart"/>).</summary>
    public static bool Fits(long inputs, long outputs) =>
        new ConvolutionShape(NablaGen.Cuda.Attention.ElementType.BFloat16, (int)inputs, (int)Math.Max(outputs, LeastOutputs), 1, 3).Fits;

    /// <summary>The convolution as the kernel knows it; null where the kernel does not fit its input's device and type or its sizes.</summary>
    /// <param name="x">The input. [B, C, T, H, W] or [N, C, H, W]</param>
    /// <param name="weight">[outputs, inputs, T, H, W] or [outputs, inputs, H, W]; as much padding as keeps the input's height and width.</param>
    /// <param name="doubles">Whether height and width are doubled first.</param>
    public static ConvolutionShape? Shape(Tensor x, Tensor weight, bool doubles = false)
    {
        if (x.device_type != DeviceType.CUDA || !CudaDevices.IsSixteenBit(x.dtype) || weight.dtype != x.dtype || weight.shape[^1] != weight.shape[^2])
        {
            return null;
        }

        var shape = new ConvolutionShape(
            CudaDevices.ElementType(x.dtype), (int)weight.shape[1], Math.Max((int)weight.shape[0], LeastOutputs), weight.dim() == 5 ? (int)weight.shape[2] : 1, (int)weight.shape[^1], doubles);
        return CausalConvolution.Fits(CudaDevices.Open(x.device), shape) ? shape : null;
    }

    // A layer's weights as the kernel reads them. Made anew for each launch: some microseconds, where those of all layers of a decoder would be 140 MiB.
    private static Tensor Pack(ConvolutionShape shape, Tensor weight)
    {
        using var scope = NewDisposeScope();
        var plain = Padded(weight, shape.Outputs).contiguous();
        var packed = empty([shape.WeightBytes / 2], weight.dtype, weight.device);
        var at = new KernelAddress(weight.device);
        new CausalConvolution(CudaDevices.Open(weight.device)).Pack(shape, at.Of(plain, weight.dtype, "weight"), at.Of(packed, weight.dtype, "packed"));
        return packed.MoveToOuterDisposeScope();
    }

    /// <summary>The convolution of frames. [B, outputs, T, H, W]</summary>
    /// <param name="shape">See <see cref="Shape"/>.</param>
    /// <param name="frames">Each [B, C, 1, H, W], a video's pixels contiguous, channels last: those before the chunk, then the chunk.</param>
    /// <param name="missing">Frames before these, which are zeros.</param>
    /// <param name="weight">[outputs, inputs, T, H, W] or [outputs, inputs, H, W]</param>
    /// <param name="bias">[outputs]</param>
    /// <param name="addend">What is added, as the result, of at least 32 channels; null for nothing.</param>
    public static Tensor Run(ConvolutionShape shape, IReadOnlyList<Tensor> frames, long missing, Tensor weight, Tensor bias, Tensor? addend = null)
    {
        using var scope = NewDisposeScope();
        var (first, scale) = (frames[0], shape.Doubles ? 2 : 1);
        var (batch, height, width, count) = (first.shape[0], first.shape[3], first.shape[4], frames.Count + missing - shape.Taps + 1);
        var y = ChannelsLast.Empty([batch, shape.Outputs, count, height * scale, width * scale], first.dtype, first.device);
        var at = new KernelAddress(first.device);
        nint Address(Tensor x, string name) => at.Of(x, first.dtype, name);
        var kernel = new CausalConvolution(CudaDevices.Open(first.device));
        var outputs = bias.shape[0];
        using var packed = Pack(shape, weight);
        var padded = Padded(bias, shape.Outputs);
        var (weights, biases, most) = (Address(packed, "packed"), Address(padded, "bias"), CausalConvolution.MostFrames(shape));
        var added = addend is null ? null : ChannelsLast.Pixels(ChannelsLast.Of(addend));
        for (var video = 0L; video < batch; video++)
        {
            nint[] addresses = [.. frames.Select(frame => Address(ChannelsLast.Pixels(frame).select(0, video), "frame"))];
            for (var start = 0L; start < count; start += most)
            {
                // The frames that outputs `start` and on see, less those that are missing.
                var (from, many) = (start - missing, Math.Min(most, count - start));
                var seen = addresses[(int)Math.Max(from, 0)..(int)(from + many + shape.Taps - 1)];
                nint Part(Tensor? x, string name) => x is null ? 0 : Address(x.select(0, video).narrow(0, start, many), name);
                kernel.Run(
                    shape, new FrameAddresses(seen, (int)height, (int)width), weights, biases, Part(ChannelsLast.Pixels(y), "output"), (int)Math.Max(-from, 0),
                    Part(added, "addend"));
            }
        }

        // A copy of the three colours, so that the rows of zeros do not live on.
        return (outputs == shape.Outputs ? y : ChannelsLast.Of(y.narrow(1, 0, outputs))).MoveToOuterDisposeScope();
    }

    // Zeros after the rows that there are. [outputs, …]
    private static Tensor Padded(Tensor x, long outputs) =>
        x.shape[0] == outputs ? x.alias() : cat([x, zeros([outputs - x.shape[0], .. x.shape[1..]], x.dtype, x.device)]);
}
