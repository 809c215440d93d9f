using NablaGen.Cuda.Attention;

namespace NablaGen.Tests.Cuda;

/// <summary>The references that the kernels are held against, held against what can be worked out by hand.</summary>
public class ReferenceTests
{
    [Fact]
    public void Attention_to_one_key_is_that_key()
    {
        double[] q = [1, 2, 3, 4], k = [0.5, -1, 2, 0], v = [7, 8, 9, 10];
        var (output, lse) = ReferenceAttention.Run(q, k, v, 1, 2, [0, 1, 2], (_, query, key) => key == 1 - query);
        Assert.Equal([9, 10, 7, 8], output);
        Assert.Equal((1 * 2 + 2 * 0) / Math.Sqrt(2), lse[0], 12);
        Assert.Equal((3 * 0.5 + 4 * -1) / Math.Sqrt(2), lse[1], 12);
    }

    [Fact]
    public void Attention_without_keys_is_zero()
    {
        var (output, lse) = ReferenceAttention.Run([1, 1], [1, 1], [1, 1], 1, 2, [0, 1], (_, _, _) => false);
        Assert.Equal([0, 0], output);
        Assert.Equal(double.NegativeInfinity, lse[0]);
    }

    [Fact]
    public void Equal_keys_share_the_weight()
    {
        var (output, lse) = ReferenceAttention.Run([1, 0, 1, 0], [0, 5, 0, 9], [2, 4, 4, 8], 1, 2, [0, 2], (_, _, _) => true);
        Assert.Equal([3, 6, 3, 6], output);
        Assert.Equal(Math.Log(2), lse[0], 12);
    }

    [Fact]
    public void Gradients_are_the_outputs_slopes()
    {
        var draw = new Draw(3);
        int[] offsets = [0, 2, 5, 6];
        var inputs = Enumerable.Range(0, 3).Select(_ => Enumerable.Range(0, 2 * 6 * 4).Select(_ => draw.Normal()).ToArray()).ToArray();
        var weights = Enumerable.Range(0, 48).Select(_ => draw.Normal()).ToArray();
        // Nobody but itself attends to the last block.
        static bool Keeps(int head, int query, int key) => key == query || (key < 2 && head + query > 0);
        double Loss() => ReferenceAttention.Run(inputs[0], inputs[1], inputs[2], 2, 4, offsets, Keeps).Output.Zip(weights, (a, b) => a * b).Sum();

        var (output, lse) = ReferenceAttention.Run(inputs[0], inputs[1], inputs[2], 2, 4, offsets, Keeps);
        var (q, k, v) = ReferenceAttention.Gradients(inputs[0], inputs[1], inputs[2], output, lse, weights, 2, 4, offsets, Keeps);
        foreach (var (input, gradient) in inputs.Zip([q, k, v]))
        {
            for (var i = 0; i < 48; i++)
            {
                var x = input[i];
                input[i] = x + 1e-5;
                var above = Loss();
                input[i] = x - 1e-5;
                var slope = (above - Loss()) / 2e-5;
                input[i] = x;
                Assert.Equal(slope, gradient[i], 1e-7);
            }
        }
    }

    [Theory]
    [InlineData(0.0, "000100")]
    [InlineData(0.39, "000100")]
    [InlineData(0.41, "010100")]
    [InlineData(0.69, "010100")]
    [InlineData(0.71, "010110")]
    [InlineData(1.0, "111111")]
    public void The_largest_blocks_that_carry_the_mass_are_kept(double threshold, string kept)
    {
        double[] p = [0.02, 0.3, 0.05, 0.4, 0.15, 0.08];
        var mask = ReferenceNabla.Select([.. p.Select(x => Math.Log(x))], threshold);
        Assert.Equal(kept, string.Concat(mask.Select(keep => keep ? '1' : '0')));
    }

    [Fact]
    public void Small_blocks_weigh_less()
    {
        var pooled = ReferenceNabla.Pool([1, 2, 3, 4, 5, 6], 1, 2, [0, 1, 3]);
        Assert.Equal([1, 2, 4, 5], pooled);
        var scores = ReferenceNabla.Scores(pooled, [0, 0, 0, 0], 1, 2, [0, 1, 3]);
        Assert.Equal(Math.Log(1 / 64.0), scores[0], 12);
        Assert.Equal(Math.Log(2 / 64.0), scores[1], 12);
    }

    [Fact]
    public void The_window_counts_blocks_each_way()
    {
        var window = new SlidingWindow(1, 0, 1, GridHeight: 2, GridWidth: 3);
        // Query block (t 1, h 1, w 0) of three frames of 2 × 3.
        var kept = Enumerable.Range(0, 18).Where(key => window.Keeps(9, key));
        Assert.Equal([3, 4, 9, 10, 15, 16], kept);
    }

    [Fact]
    public void Sixteen_bit_numbers_round_to_nearest_even()
    {
        Assert.Equal(1.0, Element16.Round(ElementType.BFloat16, 1 + 1.0 / 256));
        Assert.Equal(1 + 1.0 / 64, Element16.Round(ElementType.BFloat16, 1 + 3.0 / 256));
        Assert.Equal(1.0, Element16.Round(ElementType.Float16, 1 + 1.0 / 2048));
        Assert.Equal(-2.0, Element16.Round(ElementType.BFloat16, -2.0));
    }

    [Fact]
    public void Norms_are_what_their_names_say()
    {
        var y = ReferenceFused.LayerNorm([1, 3], 2, 0, null, null, _ => null, _ => null);
        Assert.Equal([-1, 1], y);
        var r = ReferenceFused.RmsNormRope([3, 4], ElementType.Float16, 1, 2, 2, 0, [1, 1], false, [0, 1]);
        Assert.Equal(-4 / Math.Sqrt(12.5), r[0], 2);
        Assert.Equal(3 / Math.Sqrt(12.5), r[1], 2);
        Assert.Equal(0.841192, ReferenceFused.Gelu(1), 6);
    }
}
