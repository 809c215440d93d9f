using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Distributed;
using NablaGen.Models;

namespace NablaGen.Tests.Distributed;

/// <summary>Heads of unequal density are dealt so that the ranks end together.</summary>
public class HeadDealTests
{
    [Fact]
    public void The_longest_go_first_to_who_has_least_to_do()
    {
        var deal = HeadDeal.ByCost([0.1, 0.9, 0.2, 0.3, 0.2, 0.1], 2);
        Assert.Equal([1], deal.Of(0));
        Assert.Equal([0, 2, 3, 4, 5], deal.Of(1));
        Assert.Equal([(0, 1), (2, 4)], deal.Runs(1));
        Assert.Equal(0.9, deal.Longest([0.1, 0.9, 0.2, 0.3, 0.2, 0.1]), 12);
    }

    [Fact]
    public void Each_head_has_one_rank_and_each_rank_a_head()
    {
        var random = new Random(5);
        foreach (var (heads, ranks) in new[] { (12, 8), (40, 4), (5, 5), (40, 32) })
        {
            var costs = Enumerable.Range(0, heads).Select(_ => 0.05 + random.NextDouble()).ToArray();
            var deal = HeadDeal.ByCost(costs, ranks);
            Assert.Equal(Enumerable.Range(0, heads), Enumerable.Range(0, ranks).SelectMany(deal.Of).Order());
            Assert.All(Enumerable.Range(0, ranks), rank => Assert.True(deal.Count(rank) > 0));
            Assert.True(deal.Longest(costs) <= HeadDeal.InOrder(heads, ranks).Longest(costs));
            // The known bound of longest first: 4/3 of the best, which is no less than an even share or the longest head.
            Assert.True(heads < 2 * ranks || deal.Longest(costs) <= 4.0 / 3 * Math.Max(costs.Sum() / ranks, costs.Max()));
        }
    }

    [Fact]
    public void Layers_are_dealt_apart_and_equal_heads_stay_in_order()
    {
        var deals = new HeadDeals(4, 2);
        deals.Deal(1, [1, 1, 0.1, 0.1]);
        deals.Deal(2, [0.5, 0.5, 0.5, 0.505]);
        Assert.Equal([0, 2], deals[1].Of(0));
        Assert.All([0, 2], layer => Assert.Equal([0, 1], deals[layer].Of(0)));
        deals.Deal(1, [0.1, 0.1, 0.1, 0.1]);
        Assert.Equal([0, 1], deals[1].Of(0));
    }

    // Two ranks for each pass: the passes are dealt apart, by what was kept in the step; where masks are kept, heads stay.
    [Theory]
    [InlineData(1, true)]
    [InlineData(2, false)]
    public void A_steps_densities_deal_the_next_steps_heads(int maskEvery, bool isDealt)
    {
        var settings = new SamplingSettings { Attention = AttentionExpression.Nabla(0.5), Steps = 4, Solver = "unipc", Shift = 5, Guidance = 5, MaskEvery = maskEvery };
        double[][] byPass = [[0.9, 0.8, 0.1, 0.2], [0.1, 0.9, 0.2, 0.8]];
        var all = RankThreads.Run(4, world =>
        {
            var ranks = new SamplingRanks(world, settings, isGuided: true, Golden4());
            var recorder = new AttentionRecorder(ranks);
            var told = new List<double>();
            for (var step = 0; step < 2; step++)
            {
                var (pass, self) = Math.DivRem(world.Rank, 2);
                recorder.OnDense(new AttentionSite(step, 0));
                recorder.OnSparse(new AttentionSite(step, 1), new Kept([.. ranks.Heads(pass)[1].Of(self).Select(head => byPass[pass][head])]));
                recorder.Tell(world.Rank == 0 ? new Listener(told) : null);
            }

            return (Deals: new[] { ranks.Heads(0)[0], ranks.Heads(0)[1], ranks.Heads(1)[1] }.Select(deal => string.Join(' ', deal.Of(0))).ToArray(), Told: told);
        });
        Assert.All(all, rank => Assert.Equal(isDealt ? ["0 1", "0 2", "0 1"] : ["0 1", "0 1", "0 1"], rank.Deals));
        // Whoever has a head, it is told in its place.
        Assert.Equal([.. byPass[0], .. byPass[1], .. byPass[0], .. byPass[1]], all[0].Told);
    }

    private static TransformerTraits Golden4()
    {
        using var golden = Golden.Open("dit");
        using var model = golden.Dit();
        return model.Config.Traits with { Heads = 4 };
    }

    private sealed class Kept(double[] densities) : IKeptBlocks
    {
        public Lazy<KeptStatistics> Statistics { get; } = new(() => new KeptStatistics(densities, 0, 0));

        public int[] ReadCounts(int head) => throw new NotSupportedException();

        public uint[] ReadBits(int head) => throw new NotSupportedException();
    }

    private sealed class Listener(List<double> told) : IAttentionObserver
    {
        public void OnDense(AttentionSite site)
        {
        }

        public void OnSparse(AttentionSite site, IKeptBlocks kept) => told.AddRange(kept.Statistics.Value.HeadDensities);
    }
}
