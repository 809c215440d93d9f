using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Distributed;
using NablaGen.Generation;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Distributed;

/// <summary>A video on several ranks is the video of one.</summary>
public class SplitSamplingTests
{
    // Two halves of guidance; heads over two; both.
    [Theory]
    [InlineData("nabla-0.5", 2, 5)]
    [InlineData("nabla-0.5", 2, 1)]
    [InlineData("dense", 4, 5)]
    public void Latents_and_statistics_are_those_of_one_rank(string attention, int ranks, double guidance)
    {
        var request = GoldenSampling.Request(attention, steps: 2) with { Guidance = guidance };
        var (expected, densities) = Alone(request);
        var all = RankThreads.Run(ranks, world => OfRank(request, world));
        Assert.All(all, rank => Assert.Equal(densities, rank.Densities));
        Assert.All(all, rank => Assert.Equal(all[0].Latents, rank.Latents));
        Assert.Equal(expected, all[0].Latents);
    }

    [Fact]
    public void Density_control_sees_all_heads_and_both_passes()
    {
        var request = GoldenSampling.Request("nabla-0.5", steps: 4) with { TargetDensity = 0.4 };
        var (expected, densities) = Alone(request);
        var all = RankThreads.Run(4, world => OfRank(request, world));
        Assert.Equal(densities, all[0].Densities);
        Assert.Equal(expected, all[0].Latents);
    }

    [Fact]
    public void A_step_cache_skips_the_same_steps_on_all_ranks()
    {
        var request = GoldenSampling.Request("nabla-0.5", steps: 6) with { StepCache = "easy:1e9" };
        var (expected, densities) = Alone(request);
        Assert.All(RankThreads.Run(2, world => OfRank(request, world)), rank =>
        {
            Assert.Equal(densities, rank.Densities);
            Assert.Equal(expected, rank.Latents);
        });
    }

    // One time for the video, one for each frame (the first of which is given), one for each token.
    [Theory]
    [InlineData(null)]
    [InlineData("frames")]
    [InlineData("t.tokens")]
    public void Frames_and_tokens_keep_their_times(string? times)
    {
        Assert.All(RankThreads.Run(2, world =>
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            using var golden = Golden.Open("family/ti2v");
            using var model = golden.Dit();
            var x = golden["x"];
            var time = times == "frames" ? tensor(Enumerable.Range(0, (int)x.shape[1]).Select(frame => 300f * frame).ToArray()).unsqueeze(0) : golden[times ?? "t"];
            Tensor Run(IAttention attention)
            {
                using var run = new DitRun(model.Config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], attention, ModuleOptions.Cpu);
                Assert.Equal(attention is UlyssesAttention, run.Share is not null);
                return model.forward(x.unsqueeze(0), time, golden["context"].unsqueeze(0), run);
            }

            using var alone = AttentionFactory.Create(AttentionExpression.Dense, CPU);
            using var together = new UlyssesAttention(
                world, [0, 1], new HeadDeals(model.Config.NumHeads, 2), AttentionFactory.Create(AttentionExpression.Dense, CPU));
            return RankThreads.Same(Run(together), Run(alone));
        }), Assert.True);
    }

    [Fact]
    public void A_pass_is_not_split_over_more_ranks_than_heads()
    {
        var error = Assert.Throws<InvalidRequestException>(() => RankSplit.Of(5, 5, null, true).Check(heads: 4, lowRank: 0));
        Assert.Contains("4 GPUs at most", error.Message);
        Assert.Contains("low-rank", Assert.Throws<InvalidRequestException>(() => RankSplit.Of(2, 1, null, false).Check(heads: 4, lowRank: 16)).Message);
        Assert.Equal("guidance 2 × heads 4", $"{RankSplit.Of(8, 5, null, true)}");
        Assert.Equal("guidance 1 × heads 8", $"{RankSplit.Of(8, 5, 1, true)}");
        Assert.Equal("guidance 1 × heads 3", $"{RankSplit.Of(3, 5, null, true)}");
    }

    private static (float[] Latents, double[] Densities) Alone(GenerationRequest request)
    {
        using var scope = NewDisposeScope();
        var seen = new Densities();
        return (GoldenSampling.Run(request, seen).data<float>().ToArray(), seen.All());
    }

    private static (float[] Latents, double[] Densities) OfRank(GenerationRequest request, ICommunicator world)
    {
        using var scope = NewDisposeScope();
        var seen = new Densities();
        return (GoldenSampling.Run(request, seen, world).data<float>().ToArray(), seen.All());
    }

    // In the order in which they are told, dense ones as 1.
    private sealed class Densities : ISamplingObserver
    {
        private readonly List<Lazy<KeptStatistics>?> _kept = [];

        public void OnDense(AttentionSite site) => _kept.Add(null);

        public void OnSparse(AttentionSite site, IKeptBlocks kept) => _kept.Add(kept.Statistics);

        public void OnStep(int step, Tensor latents)
        {
        }

        public double[] All() => [.. _kept.SelectMany(kept => kept?.Value.HeadDensities ?? [1])];
    }
}
