using NablaGen.Cuda.Attention;
using NablaGen.Jobs.Benchmarks;
using NablaGen.Models;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Tests.Cuda;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Vae;

/// <summary>What bfloat16 and CUDA do to the frames.</summary>
/// <remarks>Alone, where scripts/test keeps oneDNN to AVX2: with AVX-512, its bfloat16 convolutions are wrong on some processors (28 dB, seen on an AMD EPYC).</remarks>
[Trait(Lane.Name, Lane.Alone)]
public class VaePrecisionTests
{
    private const double AskedPsnr = 45;

    [Theory]
    [InlineData(8)]
    [InlineData(32)]
    public void Frames_in_bfloat16_are_near_those_in_float32(int dim)
    {
        using var scope = NewDisposeScope();
        var config = RandomVae.Config(dim);
        using var exact = RandomVae.Create(config, ModuleOptions.Cpu);
        using var rounded = RandomVae.Create(config, ModuleOptions.Cpu with { Dtype = ScalarType.BFloat16 });
        var latents = RandomVae.Smooth(2, 10, 8);
        Assert.InRange(TensorPsnr.Of(RandomVae.Decode(rounded, latents), RandomVae.Decode(exact, latents)), AskedPsnr, 80);
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(8)]
    [InlineData(96)]
    public void Cuda_in_float32_equals_the_CPU(int dim)
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var onCpu = RandomVae.Create(RandomVae.Config(dim), ModuleOptions.Cpu);
        using var onCuda = RandomVae.Create(RandomVae.Config(dim), new ModuleOptions(CUDA, ScalarType.Float32));
        var latents = RandomVae.Smooth(3, 9, 14);
        var difference = RandomVae.Decode(onCuda, latents.to(CUDA)) - RandomVae.Decode(onCpu, latents);
        Assert.InRange(difference.abs().max().item<float>(), 0, 1e-3);
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(8, 10, 8)]
    [InlineData(96, 30, 52)]
    public void Cuda_in_bfloat16_is_near_float32(int dim, int height, int width)
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var exact = RandomVae.Create(RandomVae.Config(dim), new ModuleOptions(CUDA, ScalarType.Float32));
        using var rounded = RandomVae.Create(RandomVae.Config(dim), new ModuleOptions(CUDA, ScalarType.BFloat16));
        var latents = RandomVae.Smooth(3, height, width).to(CUDA);
        var psnr = TensorPsnr.Of(RandomVae.Decode(rounded, latents), RandomVae.Decode(exact, latents));
        TestContext.Current.TestOutputHelper!.WriteLine($"dim {dim}: {psnr:0.0} dB");
        Assert.InRange(psnr, AskedPsnr, 80);
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(0, 0, 2)]
    [InlineData(128, 0, 4)]
    [InlineData(96, 144, 1)]
    public void Cuda_tiles_show_no_seam(int height, int width, int framesAtOnce)
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var model = RandomVae.Create(RandomVae.Config(96), new ModuleOptions(CUDA, ScalarType.BFloat16));
        var latents = RandomVae.Smooth(3, 30, 52).to(CUDA);
        var psnr = TensorPsnr.Of(
            RandomVae.Decode(model, latents, new VaeTiling(height, width, framesAtOnce)), RandomVae.Decode(model, latents, VaeTiling.None));
        TestContext.Current.TestOutputHelper!.WriteLine($"{height}x{width}, {framesAtOnce} at once: {psnr:0.0} dB");
        Assert.InRange(psnr, AskedPsnr, double.PositiveInfinity);
    }

    // Each output's sum is in one order, whatever the frames and tiles around it.
    [Fact, Trait("gpu", "true")]
    public void The_own_convolution_gives_the_same_bits_for_any_number_of_frames()
    {
        Gpu.Require(AttentionKernel.Hopper);
        using var scope = NewDisposeScope();
        using var model = RandomVae.Create(RandomVae.Config(96), new ModuleOptions(CUDA, ScalarType.BFloat16));
        using var weight = empty([96, 96, 3, 3, 3], ScalarType.BFloat16, CUDA);
        Assert.NotNull(ConvolutionOp.Shape(empty([1, 96, 1, 8, 8], ScalarType.BFloat16, CUDA), weight));
        Assert.Null(ConvolutionOp.Shape(empty([1, 96, 1, 8, 8], ScalarType.Float32, CUDA), weight));
        var latents = RandomVae.Smooth(3, 12, 10).to(CUDA);
        var one = RandomVae.Decode(model, latents, new VaeTiling(FramesAtOnce: 1));
        Assert.True(one.eq(RandomVae.Decode(model, latents, new VaeTiling(FramesAtOnce: 4))).all().item<bool>());
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(false)]
    [InlineData(true)]
    public void Cuda_encodes_in_bfloat16_near_float32(bool hasShortcuts)
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var config = hasShortcuts ? VaeConfig.Wan22 with { Dim = 32, DecoderDim = 64 } : RandomVae.Config(32);
        using var exact = RandomVae.Create(config, new ModuleOptions(CUDA, ScalarType.Float32));
        using var rounded = RandomVae.Create(config, new ModuleOptions(CUDA, ScalarType.BFloat16));
        var video = RandomVae.Decode(exact, Latents(config)).to(CUDA).clamp(-1, 1);
        var (right, found) = (exact.Encode(video), rounded.Encode(video));
        var share = ((found - right).square().mean().sqrt() / right.square().mean().sqrt()).item<float>();
        var psnr = TensorPsnr.Of(RandomVae.Decode(rounded, Latents(config)), RandomVae.Decode(exact, Latents(config)));
        TestContext.Current.TestOutputHelper!.WriteLine($"latents {share:0.0000} off, frames {psnr:0.0} dB");
        Assert.InRange(share, 0, 0.03);
        Assert.InRange(psnr, 40, 90);
    }

    private static Tensor Latents(VaeConfig config)
    {
        using var generator = new Generator(3);
        return randn([1, config.ZDim, 3, 6, 10], generator: generator).to(CUDA);
    }

    private static void RequireDevice() => Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
}
