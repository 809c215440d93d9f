using NablaGen.Cuda.Attention;

namespace NablaGen.Tests.Cuda;

public class MaskCountsTests
{
    [Theory, Trait("gpu", "true")]
    [InlineData(1, 1)]
    [InlineData(3, 127)]
    [InlineData(5, 130)]
    [InlineData(2, 1051)]
    public void Each_head_counts_its_pairs(int heads, int blocks)
    {
        var device = Gpu.Require();
        using var mask = DeviceBlockMask.FromHost(device, heads, blocks, (head, query, key) => (query * 7 + key * 3) % (head + 2) == 0);
        using var kept = Gpu.Poisoned(device, 8L * heads);
        new MaskCounts(device).Run(mask, kept.Pointer);

        var expected = new long[heads];
        var pairs = mask.ToHost();
        for (var head = 0; head < heads; head++)
        {
            for (var query = 0; query < blocks; query++)
            {
                for (var key = 0; key < blocks; key++)
                {
                    expected[head] += pairs[head, query, key] ? 1 : 0;
                }
            }
        }

        Assert.Equal(expected, kept.ToArray<long>(heads));
    }
}
