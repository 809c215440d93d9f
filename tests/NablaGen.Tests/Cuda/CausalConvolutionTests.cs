using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Convolution;
using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cuda;

public class CausalConvolutionTests
{
    // Widths of 32 and heights of 8 or 16 are whole tiles; others are ragged.
    [Theory, Trait("gpu", "true")]
    [InlineData(96, 96, 3, 3, false, 3, 0, 18, 33, true, ElementType.BFloat16)]
    [InlineData(96, 96, 3, 3, false, 6, 0, 3, 5, false, ElementType.BFloat16)]
    [InlineData(96, 96, 3, 3, false, 1, 2, 16, 32, false, ElementType.Float16)]
    [InlineData(192, 192, 3, 3, false, 4, 1, 17, 19, true, ElementType.BFloat16)]
    [InlineData(192, 384, 3, 3, false, 3, 0, 9, 18, false, ElementType.BFloat16)]
    [InlineData(384, 384, 3, 3, false, 3, 0, 8, 8, true, ElementType.Float16)]
    [InlineData(384, 768, 3, 1, false, 4, 0, 17, 20, false, ElementType.BFloat16)]
    [InlineData(192, 384, 1, 1, false, 2, 0, 17, 20, false, ElementType.BFloat16)]
    [InlineData(160, 320, 3, 3, false, 3, 0, 17, 20, true, ElementType.BFloat16)]
    [InlineData(64, 32, 3, 3, false, 3, 0, 20, 33, true, ElementType.BFloat16)]
    [InlineData(32, 64, 3, 3, false, 3, 0, 20, 33, true, ElementType.BFloat16)]
    [InlineData(256, 256, 3, 3, false, 3, 0, 17, 20, true, ElementType.BFloat16)]
    [InlineData(192, 96, 1, 3, true, 2, 0, 18, 33, false, ElementType.BFloat16)]
    [InlineData(384, 192, 1, 3, true, 1, 0, 17, 5, false, ElementType.Float16)]
    public void Agrees_with_float64(
        int inputs, int outputs, int taps, int side, bool doubles, int frames, int missing, int height, int width, bool adds, ElementType type)
    {
        var device = Gpu.Require(AttentionKernel.Hopper);
        var shape = new ConvolutionShape(type, inputs, outputs, taps, side, doubles);
        Assert.True(CausalConvolution.Fits(device, shape));
        var draw = new Draw(inputs + outputs);
        var x = draw.Normals(frames * height * width * inputs, type);
        var w = draw.Normals(outputs * inputs * taps * side * side, type, 1 / Math.Sqrt(inputs * taps * side * side));
        var bias = draw.Normals(outputs, type);
        var exact = ReferenceConvolution.Run(x, w, bias, (inputs, outputs, taps, side), (frames, height, width), missing, doubles);
        var addend = adds ? draw.Normals(exact.Length, type) : [];
        for (var i = 0; i < addend.Length; i++)
        {
            exact[i] += addend[i];
        }

        CudaBuffer Put(double[] values) => CudaBuffer.From<ushort>(device, Element16.Encode(type, values));
        using CudaBuffer input = Put(x), weights = Put(w), biases = Put(bias), more = Put(adds ? addend : [0]), packed = new(device, shape.WeightBytes),
            output = Gpu.Poisoned(device, 2L * exact.Length);
        var kernel = new CausalConvolution(device);
        kernel.Pack(shape, weights.Pointer, packed.Pointer);
        nint[] addresses = [.. Enumerable.Range(0, frames).Select(frame => input.Pointer + frame * height * width * inputs * 2)];
        kernel.Run(shape, new FrameAddresses(addresses, height, width), packed.Pointer, biases.Pointer, output.Pointer, missing, adds ? more.Pointer : 0);
        var y = Element16.Decode(type, output.ToArray<ushort>(exact.Length));
        // The result's rounding; a doubling's weights are sums that were rounded again.
        var unit = type == ElementType.Float16 ? 1.0 / 2048 : 1.0 / 256;
        for (var i = 0; i < y.Length; i++)
        {
            var allowed = unit * Math.Abs(exact[i]) + (doubles ? 8 * unit : unit / 4);
            Assert.True(Math.Abs(y[i] - exact[i]) <= allowed, $"Element {i} is {y[i]}; exact {exact[i]}, allowed difference {allowed}.");
        }
    }

    [Fact]
    public void Sizes_follow_the_channels()
    {
        static ConvolutionShape Of(int inputs, int outputs, int taps = 3, int side = 3, bool doubles = false) =>
            new(ElementType.BFloat16, inputs, outputs, taps, side, doubles);
        Assert.Equal((96, 4, 32), (Of(96, 96).Columns, Of(96, 96).Tiles, Of(96, 96).Chunk));
        Assert.Equal((192, 2, 64), (Of(384, 384).Columns, Of(384, 384).Tiles, Of(384, 384).Chunk));
        Assert.Equal((160, 128), (Of(160, 640).Columns, Of(256, 1024).Columns));
        Assert.Equal(2L * 27 * 96 * 96, Of(96, 96).WeightBytes);
        Assert.Equal(2L * 16 * 192 * 96, Of(192, 96, 1, doubles: true).WeightBytes);
        Assert.False(Of(16, 384).Fits);
        Assert.False(Of(96, 3).Fits);
        Assert.False(Of(96, 96, 6).Fits);
        Assert.False(Of(96, 96, 3, 5).Fits);
        Assert.False(Of(96, 96, 3, doubles: true).Fits);
        ConvolutionShape[] all = [Of(96, 96), Of(192, 192), Of(160, 160), Of(256, 256), Of(192, 96, 1, 3, true), Of(384, 192, 1, 3, true), Of(384, 768, 3, 1)];
        Assert.All(all, shape => Assert.True(shape is { Fits: true, SharedBytes: <= 227 * 1024 - 1024, WeightStages: >= 4 }, $"{shape}"));
    }

    [Fact]
    public void Launches_take_as_many_frames_as_there_are_maps()
    {
        Assert.Equal(LaunchConstants.ConvFrames - 2, CausalConvolution.MostFrames(new ConvolutionShape(ElementType.BFloat16, 96, 96, 3, 3)));
        Assert.Equal(LaunchConstants.ConvFrames, CausalConvolution.MostFrames(new ConvolutionShape(ElementType.BFloat16, 192, 96, 1, 3, true)));
    }
}
