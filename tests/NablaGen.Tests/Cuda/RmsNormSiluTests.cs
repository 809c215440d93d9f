using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Fused;

namespace NablaGen.Tests.Cuda;

public class RmsNormSiluTests
{
    [Theory, Trait("gpu", "true")]
    [InlineData(96, 1001, true, ElementType.BFloat16)]
    [InlineData(192, 333, true, ElementType.Float16)]
    [InlineData(384, 50, true, ElementType.BFloat16)]
    [InlineData(384, 50, false, ElementType.BFloat16)]
    [InlineData(8, 70_001, true, ElementType.BFloat16)]
    [InlineData(104, 3, true, ElementType.BFloat16)]
    [InlineData(1024, 5, false, ElementType.Float16)]
    [InlineData(96, 1, true, ElementType.BFloat16)]
    public void Sixteen_bit_rows_agree(int columns, int rows, bool silu, ElementType type)
    {
        var device = Gpu.Require();
        var draw = new Draw(columns);
        var x = draw.Normals(rows * columns, type, 3);
        // A row of zeros has a norm of 0.
        Array.Clear(x, 0, columns);
        var gamma = draw.Floats(columns, 0.3, mean: 1);
        using CudaBuffer inPlace = CudaBuffer.From<ushort>(device, Element16.Encode(type, x)), weight = CudaBuffer.From<float>(device, gamma),
            apart = Gpu.Poisoned(device, 2L * x.Length);
        var pass = new RmsNormSilu(device);
        pass.Run(inPlace.Pointer, apart.Pointer, type, rows, columns, weight.Pointer, silu);
        pass.Run(inPlace.Pointer, inPlace.Pointer, type, rows, columns, weight.Pointer, silu);
        var y = apart.ToArray<ushort>(x.Length);
        Gates.Rounded(y, ReferenceFused.RmsNormSilu(x, columns, gamma, silu), type);
        Assert.Equal(y, inPlace.ToArray<ushort>(x.Length));
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(96, 501, true)]
    [InlineData(384, 7, false)]
    [InlineData(8, 1, true)]
    public void Float32_rows_agree(int columns, int rows, bool silu)
    {
        var device = Gpu.Require();
        var draw = new Draw(columns);
        var (x, gamma) = (draw.Floats(rows * columns, 2), draw.Floats(columns, 0.3, mean: 1));
        using CudaBuffer from = CudaBuffer.From<float>(device, x), weight = CudaBuffer.From<float>(device, gamma),
            to = Gpu.Poisoned(device, 4L * x.Length);
        new RmsNormSilu(device).Run(from.Pointer, to.Pointer, null, rows, columns, weight.Pointer, silu);
        var exact = ReferenceFused.RmsNormSilu([.. x.Select(v => (double)v)], columns, gamma, silu);
        var y = to.ToArray<float>(x.Length);
        for (var i = 0; i < y.Length; i++)
        {
            Assert.True(Math.Abs(y[i] - exact[i]) <= 2e-6 * (1 + Math.Abs(exact[i])), $"Element {i} is {y[i]}; exact {exact[i]}.");
        }
    }

    [Fact]
    public void Few_lanes_hold_a_row()
    {
        Assert.Equal((4, 8, 16), (RmsNormSilu.Lanes(96), RmsNormSilu.Lanes(192), RmsNormSilu.Lanes(384)));
        Assert.Equal((1, 1, 4, 32), (RmsNormSilu.Lanes(8), RmsNormSilu.Lanes(32), RmsNormSilu.Lanes(104), RmsNormSilu.Lanes(1024)));
    }
}
