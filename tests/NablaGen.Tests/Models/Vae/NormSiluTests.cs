using NablaGen.Models;
using NablaGen.Models.Vae;
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
