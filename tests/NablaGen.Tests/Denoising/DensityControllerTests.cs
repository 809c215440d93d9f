using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Jobs.Statistics;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Vae;
using static TorchSharp.torch;

namespace NablaGen.Tests.Denoising;

public class DensityControllerTests
{
    [Theory]
    [InlineData("nabla-0.5", 0.2, "unipc", 0)]
    [InlineData("nabla-0.05_sta-1-1-1", 0.35, "unipc", 0)]
    [InlineData("nabla-0.5", 0.7, "unipc", 1)]
    public void The_golden_models_density_is_held(string attention, double target, string solver, int denseLayers)
    {
        using var scope = NewDisposeScope();
        var request = GoldenSampling.Request(attention, steps: 6) with
        {
            Width = 512,
            Height = 384,
            TargetDensity = target,
            Solver = solver,
            DenseLayers = denseLayers,
        };
        var statistics = Run(request, out _);
        foreach (var step in statistics.Steps)
        {
            TestContext.Current.TestOutputHelper!.WriteLine($"{step.Step}: {step.Threshold:0.0000} → {step.Density:0.0000}");
        }

        Assert.All(statistics.Steps.Skip(3), step => Assert.InRange(step.Density, 0.9 * target, 1.1 * target));
    }

    [Fact]
    public void The_thresholds_found_give_the_same_latents_again()
    {
        using var scope = NewDisposeScope();
        var request = GoldenSampling.Request("nabla-0.5", steps: 4) with { TargetDensity = 0.3 };
        var found = Run(request, out var latents).Steps.Select(step => step.Threshold!.Value).ToArray();
        Assert.Equal(4, found.Length);
        Assert.Equal(4, found.Distinct().Count());
        Run(request with { Thresholds = found }, out var again);
        Assert.True(latents.eq(again).all().item<bool>());
        Run(request with { TargetDensity = null }, out var plain);
        Assert.False(latents.eq(plain).all().item<bool>());
    }

    // Maps from nearly flat to very sharp that grow sharper from step to step, on blocks of random data.
    [Theory]
    [InlineData(0.3, 0.2)]
    [InlineData(0.7, 0.2)]
    [InlineData(1.3, 0.1)]
    [InlineData(1.7, 0.1)]
    [InlineData(1, 0.5)]
    public void Random_datas_density_is_held(double sharpness, double target)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(4, 32, 40);
        var controller = new DensityController(
            target, DensityController.FirstThreshold(target), DensityController.Floor(AttentionExpression.Nabla(0.5), layout, 1, 0), 1, 0);
        using var generator = new Generator(5);
        var (queries, keys) = (Draw(), Draw());
        for (var step = 0; step < 10; step++)
        {
            using var inner = NewDisposeScope();
            var growth = sharpness * (1 + 0.02 * step);
            var (q, k) = (queries * growth, keys * growth);
            var meter = new DensityMeter();
            using (var seen = new BlockSparseAttention(
                AttentionExpression.Nabla(0.5), new CpuBlockSparseBackend(), new Both(controller, meter), _ => controller.Threshold))
            {
                seen.Forward(q, k, q, layout, new AttentionSite(step, 0));
            }

            TestContext.Current.TestOutputHelper!.WriteLine($"{step}: {controller.Threshold:0.0000} → {meter.Mean:0.0000}");
            if (step >= 3)
            {
                Assert.InRange(meter.Mean!.Value, 0.9 * target, 1.1 * target);
            }

            controller.OnStep(step, q);
        }

        // A direction a block.
        Tensor Draw() => randn([1, 2, layout.Blocks, 32], generator: generator).repeat_interleave(64, 2);
    }

    [Theory]
    [InlineData("nabla-0.5_sta-1-3-3", 0.2, "above 0.500")]
    [InlineData("nabla-0.5", 0.1, "above 0.125")]
    [InlineData("nabla-0.5", 1, "below 1")]
    [InlineData("sta-1-1-1", 0.5, "has none")]
    public void A_target_that_cannot_be_is_refused(string attention, double target, string expected)
    {
        var request = GoldenSampling.Request(attention) with { TargetDensity = target, DenseSteps = 0, Width = 256, Height = 256 };
        using var golden = Golden.Open("dit");
        var dit = ModelConfigs.ParseDit(golden.Metadata("config"), "dit");
        Assert.Contains(expected, Assert.Throws<InvalidRequestException>(() => request.Check(dit.Traits, (VaeConfig.Wan21 with { ZDim = dit.InDim }).Traits)).Message);
    }

    private static DensityStatistics Run(GenerationRequest request, out Tensor latents)
    {
        using var golden = Golden.Open("dit");
        var dit = ModelConfigs.ParseDit(golden.Metadata("config"), "dit");
        var statistics = new DensityStatistics(dit.NumLayers, dit.NumHeads);
        latents = GoldenSampling.Run(request, statistics);
        return statistics;
    }

    private sealed class Both(IAttentionObserver first, IAttentionObserver second) : IAttentionObserver
    {
        public void OnDense(AttentionSite site)
        {
        }

        public void OnSparse(AttentionSite site, IKeptBlocks kept)
        {
            first.OnSparse(site, kept);
            second.OnSparse(site, kept);
        }
    }
}
