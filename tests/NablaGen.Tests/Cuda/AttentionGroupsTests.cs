using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Compilation;

namespace NablaGen.Tests.Cuda;

public class AttentionGroupsTests
{
    private const int Members = LaunchConstants.QueryBlocks, Run = LaunchConstants.GroupRows;

    [Theory, Trait("gpu", "true")]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    [InlineData(3, Run - 1)]
    [InlineData(2, Run + 1)]
    [InlineData(2, (2 * Run) + 10)]
    [InlineData(3, 1051)]
    public void Each_block_is_in_one_group_of_its_run_and_no_group_is_worse_than_neighbours(int heads, int blocks)
    {
        var random = new Random(blocks);
        var kept = Enumerable.Range(0, heads * blocks * blocks).Select(_ => random.NextDouble() < 0.3).ToArray();
        bool Keeps(int head, int query, int key) => kept[(((head * blocks) + query) * blocks) + key];
        var groups = Choose(heads, heads, blocks, Keeps);
        for (var head = 0; head < heads; head++)
        {
            var seen = groups[head].SelectMany(group => group).ToArray();
            Assert.Equal(Enumerable.Range(0, seen.Length), seen.Order());
            Assert.All(groups[head].Index(), group =>
            {
                Assert.Equal(group.Item.Order(), group.Item);
                Assert.All(group.Item, block => Assert.Equal(group.Index * Members / Run, block / Run));
            });

            var neighbours = Enumerable.Range(0, seen.Length).Chunk(Members).ToArray();
            var (chosen, line) = (Distances(groups[head], blocks, head, Keeps), Distances(neighbours, blocks, head, Keeps));
            Assert.True(blocks < 6 ? chosen == line : chosen < line, $"{chosen} beside {line} of neighbours");
        }
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(1)]
    [InlineData(3)]
    public void Blocks_with_one_mask_are_found_among_others(int runs)
    {
        var blocks = runs * Run;
        // Three blocks of each run have one mask, and lie anywhere in it.
        var random = new Random(7);
        var patterns = Enumerable.Range(0, blocks / Members).Select(_ => Enumerable.Range(0, blocks).Select(_ => random.NextDouble() < 0.2).ToArray()).ToArray();
        var pattern = Enumerable.Range(0, blocks).Select(block => block / Members).ToArray();
        for (var first = 0; first < blocks; first += Run)
        {
            random.Shuffle(pattern.AsSpan(first, Run));
        }

        // One mask for both heads.
        var groups = Choose(2, 1, blocks, (_, query, key) => patterns[pattern[query]][key]);
        Assert.Equal(groups[0], groups[1]);
        Assert.All(groups[0], group => Assert.Single(group.Select(block => pattern[block]).Distinct()));
    }

    private static int[][][] Choose(int heads, int maskHeads, int blocks, Func<int, int, int, bool> keeps)
    {
        var device = Gpu.Require();
        var count = AttentionGroups.Count(blocks);
        using var mask = DeviceBlockMask.FromHost(device, maskHeads, blocks, keeps);
        using var members = Gpu.Poisoned(device, 4L * heads * count * Members);
        AttentionGroups.Run(device, mask, heads, members.Pointer);
        return [.. members.ToArray<int>(heads * count * Members).Chunk(Members).Chunk(count)];
    }

    // Over all groups, for each two members, the key blocks that only one of them keeps.
    private static long Distances(int[][] groups, int blocks, int head, Func<int, int, int, bool> keeps) => groups.Sum(group =>
    {
        long sum = 0;
        foreach (var (a, b) in new[] { (0, 1), (0, 2), (1, 2) }.Select(pair => (group[pair.Item1], group[pair.Item2])).Where(pair => Math.Max(pair.Item1, pair.Item2) < blocks))
        {
            sum += Enumerable.Range(0, blocks).Count(key => keeps(head, a, key) != keeps(head, b, key));
        }

        return sum;
    });
}
