using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Tests.Cuda;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Vae;

public class NormSiluTests
{
    // 16 channels and multiples of it take the vectorised pass, others libtorch's operations.
    [Theory]
    [InlineData(16, 5000)]
    [InlineData(96, 3)]
    [InlineData(384, 2)]
    [InlineData(24, 7)]
    public void The_pass_on_the_CPU_agrees(int channels, int pixels)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        manual_seed(channels);
        using var norm = new VaeRmsNorm(channels, frames: false, ModuleOptions.Cpu);
        var gamma = norm.parameters().Single().normal_(1, 0.3);
        var x = 3 * randn([1, pixels, 1, 1, channels]);
        x[0, 0] = 0;
        foreach (var silu in new[] { true, false })
        {
            var y = silu ? norm.Activate(ChannelsLast.Shaped(x)) : norm.forward(ChannelsLast.Shaped(x));
            Assert.Equal([1, channels, pixels, 1, 1], y.shape);
            var exact = ReferenceFused.RmsNormSilu(
                [.. x.flatten().data<float>().Select(v => (double)v)], channels, gamma.flatten().data<float>().ToArray(), silu);
            Golden.AssertClose(ChannelsLast.Pixels(y).flatten().contiguous(), tensor(exact).to_type(ScalarType.Float32), 1e-6);
        }
    }

    // On every machine, whichever width it would choose.
    [Theory]
    [InlineData(8, 16, 5000)]
    [InlineData(16, 16, 5000)]
    [InlineData(8, 96, 3)]
    [InlineData(16, 96, 3)]
    public void The_pass_agrees_in_both_widths(int lanes, int channels, int pixels)
    {
        using var scope = NewDisposeScope();
        manual_seed(channels);
        var (x, gamma) = (3 * randn(pixels, channels), 1 + 0.3 * randn(channels));
        x[0] = 0;
        x[1, 5] = float.NaN;
        var y = empty_like(x);
        foreach (var silu in new[] { true, false })
        {
            CpuNormSilu.Run(x, y, gamma, pixels, channels, silu, lanes);
            // A NaN spoils its own row only.
            Assert.True(y[1].isnan().all().item<bool>());
            var exact = ReferenceFused.RmsNormSilu(
                [.. x[TensorIndex.Slice(2)].flatten().data<float>().Select(v => (double)v)], channels, gamma.data<float>().ToArray(), silu);
            Golden.AssertClose(y[TensorIndex.Slice(2)].flatten(), tensor(exact).to_type(ScalarType.Float32), 1e-6);
            Assert.Equal(0, y[0].abs().max().item<float>());
        }
    }

    [Fact]
    public void Very_negative_values_become_nought()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var norm = new VaeRmsNorm(16, frames: false, ModuleOptions.Cpu);
        norm.parameters().Single().fill_(1000);
        var y = norm.Activate(full([1, 16, 1, 2, 2], -1f));
        Assert.Equal(0, y.abs().max().item<float>());
    }
}
