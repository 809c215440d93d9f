using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Jobs.Statistics;
using NablaGen.Models.Wan;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Statistics;

public class DensityStatisticsTests
{
    [Theory]
    [InlineData("nabla-0.6", 5, 0, 0)]
    [InlineData("nabla-0.6", 1, 0, 0)]
    [InlineData("nabla-0.4_sta-1-3-1", 5, 1, 1)]
    [InlineData("dense", 5, 0, 0)]
    public void Every_cell_is_the_mean_of_its_masks(string attention, double guidance, int denseSteps, int denseLayers)
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        var dit = ModelConfigs.ParseDit(golden.Metadata("config"), "dit");
        var request = GoldenSampling.Request(attention) with { Guidance = guidance, DenseSteps = denseSteps, DenseLayers = denseLayers };
        var (statistics, meter, masks) = (new DensityStatistics(dit.NumLayers, dit.NumHeads), new DensityMeter(), new MaskRecorder());
        GoldenSampling.Run(request, new SamplingObservers(statistics, new Only(meter), new Only(masks)));

        Assert.Equal(request.Steps, statistics.Steps.Count);
        foreach (var step in statistics.Steps)
        {
            Assert.Equal(dit.NumLayers, step.Layers.Count);
            for (var layer = 0; layer < dit.NumLayers; layer++)
            {
                var found = step.Layers[layer];
                var made = masks.Masks.Where(mask => mask.Site == new AttentionSite(step.Step, layer)).Select(mask => mask.Mask).ToArray();
                var dense = request.Attention.IsDense || step.Step < denseSteps || layer < denseLayers;
                Assert.Equal(dense ? 0 : request.IsGuided ? 2 : 1, made.Length);
                Assert.Equal(dense, found.MaskSeconds is null);
                Assert.Equal(dit.NumHeads, found.HeadDensities.Count);
                for (var head = 0; head < dit.NumHeads; head++)
                {
                    Assert.Equal(dense ? 1 : made.Average(mask => mask.HeadDensity(head)), found.HeadDensities[head], 12);
                }
            }

            Assert.InRange(step.Seconds, 1e-9, double.MaxValue);
            Assert.InRange(step.MaskShare, 0, 1);
        }

        Assert.Equal(meter.Mean!.Value, statistics.Mean!.Value, 12);
        if (!request.Attention.IsDense)
        {
            Assert.InRange(statistics.Mean.Value, 0.05, 0.95);
            Assert.InRange(statistics.Steps[^1].Layers[^1].MaskShare!.Value, 1e-9, 1);
        }
    }

    [Fact]
    public void The_prediction_is_the_clean_part_of_the_latents()
    {
        using var scope = NewDisposeScope();
        // Euler's last step goes to σ = 0, where the latents are the last prediction.
        var seen = new Predictions();
        var latents = GoldenSampling.Run(GoldenSampling.Request("dense") with { Solver = "euler" }, seen);
        Assert.Equal(3, seen.Clean.Count);
        Golden.AssertClose(seen.Clean[^1], latents.unsqueeze(0), 1e-5);
        Assert.InRange(Golden.RelativeError(seen.Clean[0], seen.Clean[^1]), 1e-3, double.MaxValue);
    }

    private sealed class Only(IAttentionObserver observer) : ISamplingObserver
    {
        public void OnDense(AttentionSite site) => observer.OnDense(site);

        public void OnSparse(AttentionSite site, IKeptBlocks kept) => observer.OnSparse(site, kept);

        public void OnStep(int step, Tensor latents)
        {
        }
    }

    private sealed class Predictions : ISamplingObserver
    {
        public List<Tensor> Clean { get; } = [];

        public void OnDense(AttentionSite site)
        {
        }

        public void OnSparse(AttentionSite site, IKeptBlocks kept)
        {
        }

        public void OnPrediction(int step, Tensor clean) => Clean.Add(clean.clone().DetachFromDisposeScope());

        public void OnStep(int step, Tensor latents)
        {
        }
    }
}
