using NablaGen.Attention;
using NablaGen.Distributed;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Distributed;

/// <summary>Heads are computed on several ranks as on one.</summary>
public class UlyssesAttentionTests
{
    private static readonly AttentionSite Site = new(0, 1);

    // Blocks of odd sizes, heads that do not divide, and two videos at once.
    [Theory]
    [InlineData("dense", 2, 4, 1)]
    [InlineData("nabla-0.5", 2, 3, 1)]
    [InlineData("nabla-0.5", 3, 5, 2)]
    [InlineData("nabla-0.4_sta-1-3-3", 4, 5, 1)]
    [InlineData("nabla-0.5+top2", 4, 4, 1)]
    public void The_output_has_the_bits_of_one_rank(string text, int ranks, int heads, int videos)
    {
        var layout = BlockLayout.Create(3, 11, 21);
        var expression = AttentionExpression.Parse(text);
        Assert.All(RankThreads.Run(ranks, world => Agrees(world, expression, layout, heads, videos)), Assert.True);
    }

    [Fact]
    public void Each_head_keeps_its_own_threshold()
    {
        var thresholds = new HeadThresholds([[0.5, 0.5, 0.5], [0.2, 0.9, 0.5]]);
        var expression = AttentionExpression.Nabla(thresholds, "file");
        var layout = BlockLayout.Create(2, 16, 19);
        Assert.All(RankThreads.Run(2, world => Agrees(world, expression, layout, heads: 3, videos: 1)), Assert.True);
    }

    [Fact]
    public void Means_over_blocks_come_along()
    {
        var layout = BlockLayout.Create(2, 9, 19);
        var heads = new HeadDeals(5, 3);
        heads.Deal(Site.Layer, [0.9, 0.1, 0.1, 0.1, 0.2]);
        RankThreads.Run(3, world =>
        {
            using var scope = NewDisposeScope();
            using var generator = new Generator(3);
            var means = randn([2, heads.Heads, layout.Blocks, 4], generator: generator);
            var inner = new MeansKeeper();
            using var attention = new UlyssesAttention(world, [0, 1, 2], heads, inner);
            var share = attention.Split(layout, byFrames: false);
            var first = layout.Starts.IndexOf(share.Start);
            var own = means.narrow(2, first, share.Layout.Blocks).flatten(0, 1);
            var x = zeros([2, heads.Heads, share.Layout.Tokens, 4]);
            attention.Forward(x, x, x, layout, Site, new BlockMeans(own, own.Times(2)));
            var expected = means.index_select(1, tensor(heads[Site.Layer].Of(world.Rank).Select(head => (long)head).ToArray())).flatten(0, 1);
            Assert.True(RankThreads.Same(expected, inner.Means!.Q) && RankThreads.Same(expected.Times(2), inner.Means.K));
            return true;
        });
    }

    [Theory]
    [InlineData(2, false)]
    [InlineData(3, true)]
    [InlineData(5, false)]
    public void Tokens_are_split_on_borders_and_whole_again(int ranks, bool byFrames)
    {
        var layout = BlockLayout.Create(4, 9, 20);
        var split = new TokenSplit(layout, ranks, byFrames);
        Assert.Equal(layout.Order, split.Parts.SelectMany(part => part.Order));
        Assert.Equal(layout.Lengths.ToArray(), split.Parts.SelectMany(part => part.Lengths.ToArray()));
        var even = (double)layout.Tokens / ranks;
        var unit = byFrames ? 180 : BlockLayout.BlockSize;
        Assert.All(Enumerable.Range(0, ranks), rank => Assert.InRange(split.Count(rank), even - unit, even + unit));
        Assert.All(split.Parts, part => Assert.True(!byFrames || part.Tokens % 180 == 0));
        var error = Assert.Throws<NablaGenException>(() => new TokenSplit(layout, 5, byFrames: true));
        Assert.Contains("4 latent frames", error.Message);
    }

    private static bool Agrees(ICommunicator world, AttentionExpression expression, BlockLayout layout, int heads, int videos)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(7);
        Tensor Random() => randn([videos, layout.Tokens, heads, 16], generator: generator).transpose(1, 2);
        var (q, k, v) = (Random(), Random(), Random());
        using var alone = AttentionFactory.Create(expression, CPU);
        var expected = alone.Forward(q, k, v, layout, Site);

        var deals = new HeadDeals(heads, world.Size);
        using var attention = new UlyssesAttention(world, [.. Enumerable.Range(0, world.Size)], deals, AttentionFactory.Create(expression, CPU));
        var share = attention.Split(layout, byFrames: false);
        Tensor Part(Tensor x) => x.narrow(2, share.Start, share.Layout.Tokens);
        bool IsSame()
        {
            var y = attention.Forward(Part(q), Part(k), Part(v), layout, Site);
            var tokens = share.Gather(y.transpose(1, 2).flatten(2));
            return RankThreads.Same(y, Part(expected)) && RankThreads.Same(tokens, expected.transpose(1, 2).flatten(2));
        }

        if (!IsSame())
        {
            return false;
        }

        // In order, then the last two heads kept far more than the others.
        double[] densities = [.. Enumerable.Range(0, heads).Select(head => head < heads - 2 ? 0.02 : 1)];
        deals.Deal(Site.Layer, densities);
        Assert.Equal(heads > world.Size, deals[Site.Layer].Longest(densities) < HeadDeal.InOrder(heads, world.Size).Longest(densities));
        return IsSame();
    }

    private sealed class MeansKeeper : IAttention
    {
        public BlockMeans? Means { get; private set; }

        public bool TakesBlockMeans => true;

        public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionSite site, BlockMeans? means = null)
        {
            Means = new BlockMeans(means!.Q.clone().MoveToOuterDisposeScope(), means.K.clone().MoveToOuterDisposeScope());
            return v.clone();
        }

        public void Dispose()
        {
        }
    }
}
