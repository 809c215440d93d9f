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
    private const int Steps = 6;

    [Theory]
    [InlineData("nabla-0.5", 0.2, "unipc", 0, 0)]
    [InlineData("nabla-0.05_sta-1-1-1", 0.35, "unipc", 0, 0)]
    [InlineData("nabla-0.5", 0.7, "unipc", 1, 0)]
    [InlineData("nabla-0.9", 0.4, "euler", 0, 2)]
    public void The_mean_over_the_run_is_the_target_and_the_first_step_is_not_below(string attention, double target, string solver, int denseLayers, int denseSteps)
    {
        using var scope = NewDisposeScope();
        var request = GoldenSampling.Request(attention, steps: Steps) with
        {
            Width = 512,
            Height = 384,
            TargetDensity = target,
            Solver = solver,
            DenseLayers = denseLayers,
            DenseSteps = denseSteps,
        };
        var statistics = Run(request, out _);
        foreach (var step in statistics.Steps)
        {
            TestContext.Current.TestOutputHelper!.WriteLine($"{step.Step}: {step.Threshold:0.0000} → {step.Density:0.0000}");
        }

        Assert.InRange(statistics.Mean!.Value, target - 0.01, target + 0.01);
        // Of those that are left beside dense steps.
        var sparse = ((target * Steps) - denseSteps) / (Steps - denseSteps);
        Assert.InRange(statistics.Steps[denseSteps].Density, sparse, 1.25 * sparse);
        Assert.Equal(Steps, statistics.Steps.Count);
    }

    [Fact]
    public void Between_the_steps_that_choose_masks_the_threshold_stays_and_the_mean_is_near_the_target()
    {
        using var scope = NewDisposeScope();
        var request = GoldenSampling.Request("nabla-0.5", steps: Steps) with { Width = 512, Height = 384, TargetDensity = 0.3, DenseSteps = 0, MaskEvery = 2 };
        var statistics = Run(request, out _);
        Assert.InRange(statistics.Mean!.Value, 0.28, 0.32);
        for (var step = 1; step < Steps; step += 2)
        {
            Assert.Equal(statistics.Steps[step - 1].Threshold, statistics.Steps[step].Threshold);
            Assert.Equal(statistics.Steps[step - 1].Density, statistics.Steps[step].Density, 9);
        }
    }

    // What the curve says is what the back end keeps, a window and a floor included, also on blocks of odd sizes.
    [Theory]
    [InlineData("nabla-0.5")]
    [InlineData("nabla-0.5+top3")]
    [InlineData("nabla-0.2_sta-1-3-3")]
    public void The_curve_is_what_is_kept(string text)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(2, 21, 27);
        using var generator = new Generator(7);
        var (q, k) = (randn([1, 3, layout.Tokens, 16], generator: generator), randn([1, 3, layout.Tokens, 16], generator: generator));
        var expression = AttentionExpression.Parse(text);
        var curve = new DensityCurve(expression) { IsOpen = true };
        foreach (var threshold in new[] { 1 / (1 + Math.Exp(-1.0)), 1 / (1 + Math.Exp(-3.0)) })
        {
            var meter = new DensityMeter();
            using var attention = new BlockSparseAttention(expression, new CpuBlockSparseBackend(), meter, _ => threshold, curve);
            attention.Forward(q, k, q, layout, new AttentionSite(0, 0));
            Assert.Equal(meter.Mean!.Value, curve.Density(threshold), 3);
            var between = curve.Density(0.9);
            Assert.Equal(between, curve.Density(curve.ThresholdOf(between)), 6);
        }
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
        var controller = new DensityController(target, AttentionExpression.Nabla(DensityController.FirstThreshold(target)), 10, 0, 0);
        using var generator = new Generator(5);
        var (queries, keys) = (Draw(), Draw());
        var all = new DensityMeter();
        for (var step = 0; step < 10; step++)
        {
            using var inner = NewDisposeScope();
            var growth = sharpness * (1 + (0.02 * step));
            var (q, k) = (queries * growth, keys * growth);
            var meter = new DensityMeter();
            if (step == 0)
            {
                controller.Curve.IsOpen = true;
                controller.Curve.Add(q, k, layout, null);
                controller.Curve.IsOpen = false;
                controller.Begin();
            }

            using (var seen = new BlockSparseAttention(
                AttentionExpression.Nabla(0.5), new CpuBlockSparseBackend(), new Both(controller, new Both(meter, all)), _ => controller.Threshold))
            {
                seen.Forward(q, k, q, layout, new AttentionSite(step, 0));
            }

            TestContext.Current.TestOutputHelper!.WriteLine($"{step}: {controller.Threshold:0.0000} → {meter.Mean:0.0000}");
            if (step == 0)
            {
                Assert.InRange(meter.Mean!.Value, target, 1.2 * target);
            }

            controller.OnStep(step, q);
        }

        Assert.InRange(all.Mean!.Value, target - 0.01, target + 0.01);

        // A direction a block.
        Tensor Draw() => randn([1, 2, layout.Blocks, 32], generator: generator).repeat_interleave(64, 2);
    }

    [Theory]
    [InlineData("nabla-0.5_sta-1-3-3", 0.2, "above 0.500")]
    [InlineData("nabla-0.5", 0.1, "must be above 0.125 and below 1, found 0.1")]
    [InlineData("nabla-0.5", 1, "below 1")]
    [InlineData("sta-1-1-1", 0.5, "has none")]
    public void A_target_that_cannot_be_is_refused(string attention, double target, string expected)
    {
        var request = GoldenSampling.Request(attention) with { TargetDensity = target, DenseSteps = 0, Width = 256, Height = 256 };
        using var golden = Golden.Open("dit");
        var dit = ModelConfigs.ParseDit(golden.Metadata("config"), "dit");
        Assert.Contains(expected, Assert.Throws<InvalidRequestException>(() => request.Check(dit.Traits, (VaeConfig.Wan21 with { ZDim = dit.InDim }).Traits)).Message);
    }

    [Fact]
    public void Dense_steps_count()
    {
        var request = GoldenSampling.Request("nabla-0.5", steps: 8) with { TargetDensity = 0.5, DenseSteps = 4, Width = 256, Height = 256 };
        using var golden = Golden.Open("dit");
        var dit = ModelConfigs.ParseDit(golden.Metadata("config"), "dit");
        Assert.Contains("must be above 0.563 and below 1, found 0.5: ", Assert.Throws<InvalidRequestException>(
            () => request.Check(dit.Traits, (VaeConfig.Wan21 with { ZDim = dit.InDim }).Traits)).Message);
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
