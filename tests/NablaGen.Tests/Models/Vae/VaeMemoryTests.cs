using NablaGen.Models;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Vae;

[Trait(Lane.Name, Lane.Memory)]
[Collection(nameof(AloneCollection))]
public class VaeMemoryTests
{
    private const double GiB = 1 << 30;
    private const long Slack = 16 << 20;
    private const int Height = 112, Width = 128;

    private static VaeConfig Config => RandomVae.Config(32);

    // The process also holds oneDNN's scratch memory, and one output more where a convolution is summed frame by frame.
    [Theory]
    [InlineData(0, 0, 4)]
    [InlineData(0, 0, 1)]
    [InlineData(64, 80, 4)]
    public void The_estimate_is_what_a_decode_takes(int tileHeight, int tileWidth, int framesAtOnce)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Peak memory is read from /proc.");
        TorchRuntime.Load();
        var measured = FreshProcess.Measure(typeof(VaeMemoryTests), nameof(Decode), tileHeight, tileWidth, framesAtOnce);
        var estimate = VaeMemory.Estimate(Config, 5, Height, Width, ScalarType.Float32, new VaeTiling(tileHeight, tileWidth, framesAtOnce));
        TestContext.Current.TestOutputHelper!.WriteLine($"{measured >> 20} MiB, estimate {estimate >> 20} MiB");
        Assert.InRange(measured, 0.8 * estimate - Slack, 1.25 * estimate + Slack);
    }

    [Fact(Explicit = true)]
    public void Decode()
    {
        var tiling = FreshProcess.Given() is [var tileHeight, var tileWidth, var framesAtOnce] ? new VaeTiling(tileHeight, tileWidth, framesAtOnce) : null;
        TorchRuntime.Load();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using (var warmUp = RandomVae.Create(RandomVae.Config(16), ModuleOptions.Cpu))
        {
            warmUp.Decode(RandomVae.Smooth(2, 4, 4), _ => { });
        }

        using var exactly = ResidentMemory.Exactly();
        ResidentMemory.ResetPeak();
        var before = ResidentMemory.Now;
        using var model = RandomVae.Create(Config, ModuleOptions.Cpu);
        model.Decode(RandomVae.Smooth(2, Height / 8, Width / 8), _ => { }, tiling);
        FreshProcess.Give(ResidentMemory.Peak - before);
    }

    // Wan2.2's decoder, and both encoders.
    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void The_estimate_is_what_the_others_take(bool hasShortcuts, bool encodes)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Peak memory is read from /proc.");
        TorchRuntime.Load();
        var measured = FreshProcess.Measure(typeof(VaeMemoryTests), nameof(Other), hasShortcuts ? 1 : 0, encodes ? 1 : 0);
        var config = Sizes(hasShortcuts);
        var estimate = encodes
            ? VaeMemory.EstimateEncoding(config, 9, Height, Width, ScalarType.Float32) + 9 * 3 * sizeof(float) * Height * Width
            : VaeMemory.Estimate(config, 9, Height, Width, ScalarType.Float32, new VaeTiling(FramesAtOnce: 4));
        TestContext.Current.TestOutputHelper!.WriteLine($"{measured >> 20} MiB, estimate {estimate >> 20} MiB");
        Assert.InRange(measured, 0.7 * estimate - Slack, 1.3 * estimate + Slack);
    }

    [Fact(Explicit = true)]
    public void Other()
    {
        var (hasShortcuts, encodes) = FreshProcess.Given() is [var first, var second] ? (first == 1, second == 1) : (true, true);
        TorchRuntime.Load();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using (var warmUp = RandomVae.Create(RandomVae.Config(16), ModuleOptions.Cpu))
        {
            warmUp.Decode(RandomVae.Smooth(2, 4, 4), _ => { });
        }

        var config = Sizes(hasShortcuts);
        using var exactly = ResidentMemory.Exactly();
        ResidentMemory.ResetPeak();
        var before = ResidentMemory.Now;
        using var model = RandomVae.Create(config, ModuleOptions.Cpu);
        if (encodes)
        {
            model.Encode(randn([1, 3, 9, Height, Width]));
        }
        else
        {
            model.Decode(randn([1, config.ZDim, 3, Height / config.SpatialStride, Width / config.SpatialStride]), _ => { });
        }

        FreshProcess.Give(ResidentMemory.Peak - before);
    }

    private static VaeConfig Sizes(bool hasShortcuts) => hasShortcuts ? VaeConfig.Wan22 with { Dim = 32, DecoderDim = 32 } : Config;

    [Fact]
    public void A_720p_decode_in_bfloat16_fits_into_8_GiB()
    {
        var estimate = VaeMemory.Estimate(VaeConfig.Wan21, 81, 720, 1280, ScalarType.BFloat16, new VaeTiling(FramesAtOnce: 2));
        TestContext.Current.TestOutputHelper!.WriteLine($"{estimate / GiB:0.00} GiB");
        // A GiB is left for CUDA and its allocator.
        Assert.InRange(estimate / GiB, 5, 7);
    }

    // On Hopper. docs/memory.md has what was measured.
    [Fact]
    public void Frames_by_themselves_take_less()
    {
        long Bytes(int framesAtOnce, bool apart) => VaeMemory.Estimate(VaeConfig.Wan21, 81, 720, 1280, ScalarType.BFloat16, new VaeTiling(FramesAtOnce: framesAtOnce), apart);
        TestContext.Current.TestOutputHelper!.WriteLine($"{Bytes(1, true) / GiB:0.00} and {Bytes(4, true) / GiB:0.00}; joined {Bytes(1, false) / GiB:0.00} and {Bytes(4, false) / GiB:0.00}");
        Assert.InRange(Bytes(1, true) / GiB, 4.5, Bytes(1, false) / GiB - 0.3);
        Assert.InRange(Bytes(4, true), Bytes(1, true), Bytes(4, false));
    }

    [Fact]
    public void Smaller_pieces_of_a_picture_take_less()
    {
        VaeTiling[] tilings = [new(), new(FramesAtOnce: 1), new(360, 640, 1), new(256, 256, 1), new(128, 128, 1)];
        var estimates = tilings.Select(tiling => VaeMemory.EstimateEncoding(VaeConfig.Wan21, 81, 720, 1280, ScalarType.BFloat16, tiling)).ToArray();
        TestContext.Current.TestOutputHelper!.WriteLine(string.Join(", ", estimates.Select(bytes => $"{bytes / GiB:0.00}")));
        Assert.Equal(estimates.OrderDescending(), estimates);
        Assert.InRange(estimates[^1], 0.2 * GiB, 0.3 * estimates[0]);
    }

    [Fact]
    public void Smaller_pieces_take_less()
    {
        VaeTiling[] tilings = [new(), new(FramesAtOnce: 2), new(FramesAtOnce: 1), new(384, 0, 1), new(384, 640, 1), new(256, 256, 1), new(128, 128, 1)];
        var estimates = tilings.Select(tiling => VaeMemory.Estimate(VaeConfig.Wan21, 81, 720, 1280, ScalarType.BFloat16, tiling)).ToArray();
        TestContext.Current.TestOutputHelper!.WriteLine(string.Join(", ", estimates.Select(bytes => $"{bytes / GiB:0.00}")));
        Assert.Equal(estimates.OrderDescending(), estimates);
        Assert.InRange(estimates[^1] / GiB, 0.3, 1);
        Assert.Equal(2, VaeMemory.Estimate(VaeConfig.Wan21, 81, 720, 1280, ScalarType.Float32) / (double)estimates[0], 3);
    }
}
