using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Fused;

namespace NablaGen.Cuda.Convolution;

/// <summary>
/// Convolutions of a video's frames, channels last, with TMA and wgmma: compute capability 9.0. Contract: causal_conv3d_sm90.cu. Port of
/// CausalConv3d and Resample, wan/modules/vae.py.
/// </summary>
/// <param name="device">Where it runs.</param>
public sealed class CausalConvolution(CudaDevice device)
{
    /// <summary>Whether a device and the kernel can do that convolution.</summary>
    public static bool Fits(CudaDevice device, ConvolutionShape shape) => shape.Fits && device.HasHopperKernels && shape.SharedBytes <= device.SharedMemoryPerBlock;

    /// <summary>Puts on the stream: weights as checkpoints have them become weights as <see cref="Run"/> reads them.</summary>
    /// <param name="shape">The convolution.</param>
    /// <param name="weights">Device address. [outputs, inputs, taps, side, side], contiguous.</param>
    /// <param name="packed">Device address of <see cref="ConvolutionShape.WeightBytes"/> bytes.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Pack(ConvolutionShape shape, nint weights, nint packed, nint stream = 0)
    {
        Require(shape);
        device.Kernel("conv_weights", shape.WeightMacros()).Launch(
            (FusedOp.WalkGrid(device, shape.WeightBytes / 2), 1, 1), FusedOp.WalkThreads, 0, stream, [(nint)(&weights), (nint)(&packed)]);
    }

    /// <summary>The most output frames of one launch.</summary>
    public static int MostFrames(ConvolutionShape shape) => LaunchConstants.ConvFrames - shape.Taps + 1;

    /// <summary>Puts the convolution of one video's frames on the stream.</summary>
    /// <param name="shape">The convolution.</param>
    /// <param name="inputs">The frames that the outputs see, in order.</param>
    /// <param name="packed">Weights from <see cref="Pack"/>.</param>
    /// <param name="bias">Device address. [outputs]</param>
    /// <param name="output">
    /// Device address, [frames, height, width, outputs], contiguous (with twice the height and width where the convolution doubles): as many
    /// frames as <paramref name="inputs"/> has, and as many more as are missing, less taps − 1.
    /// </param>
    /// <param name="missing">Frames at the front, of zeros, that are not among <paramref name="inputs"/>; at most taps − 1.</param>
    /// <param name="addend">Device address of what is added, as <paramref name="output"/>; 0 for nothing.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(
        ConvolutionShape shape, FrameAddresses inputs, nint packed, nint bias, nint output, int missing = 0, nint addend = 0, nint stream = 0)
    {
        Require(shape);
        var count = inputs.Addresses.Length + missing - shape.Taps + 1;
        if (missing < 0 || missing >= shape.Taps || count < 1 || inputs.Addresses.Length > LaunchConstants.ConvFrames)
        {
            throw new ArgumentException($"{inputs.Addresses.Length} frames and {missing} missing ones for {shape.Taps} taps; at most {LaunchConstants.ConvFrames} frames.");
        }

        if (shape.Doubles && addend != 0)
        {
            throw new ArgumentException("A convolution that doubles has no addend.");
        }

        FusedOp.RequireAligned([packed, output, addend, .. inputs.Addresses]);
        var maps = new Maps();
        for (var i = 0; i < inputs.Addresses.Length; i++)
        {
            maps[i] = TensorMap.OfFrame(
                inputs.Addresses[i], shape.Type, (shape.Inputs, inputs.Width, inputs.Height),
                (shape.Chunk, LaunchConstants.ConvWide + shape.KernelSide - 1, shape.High + shape.KernelSide - 1));
        }

        var (wide, high) = (Pieces(inputs.Width, LaunchConstants.ConvWide), Pieces(inputs.Height, shape.High));
        var work = new Work
        {
            Output = output,
            Addend = addend,
            Weights = packed,
            Bias = bias,
            Width = inputs.Width,
            Height = inputs.Height,
            Missing = missing,
            TilesWide = wide,
            TilesHigh = high,
            Tiles = checked(wide * high * count * shape.Phases * (shape.Outputs / shape.Columns)),
        };
        device.Kernel("causal_conv3d_sm90", shape.Macros()).Launch(
            (Math.Min(device.Multiprocessors, work.Tiles), 1, 1), LaunchConstants.ConvThreads, shape.SharedBytes, stream,
            [(nint)(&maps), (nint)(&work)]);
    }

    private void Require(ConvolutionShape shape)
    {
        if (!Fits(device, shape))
        {
            throw new CudaException($"{device.Name} has no kernel for {shape}.");
        }
    }

    private static int Pieces(int whole, int piece) => (whole + piece - 1) / piece;

    [InlineArray(LaunchConstants.ConvFrames)]
    private struct Maps
    {
        private TensorMap _first;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Work
    {
        public nint Output, Addend, Weights, Bias;
        public int Width, Height, Missing, TilesWide, TilesHigh, Tiles;
    }
}

/// <summary>Frames of a video with the channels last, each at an address of its own.</summary>
/// <param name="Addresses">Device address of each. [height, width, channels], contiguous.</param>
/// <param name="Height">Rows.</param>
/// <param name="Width">Columns.</param>
public readonly record struct FrameAddresses(nint[] Addresses, int Height, int Width);
