using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Tests.Attention;

public class BlockSparseTests
{
    // Sizes with and without ragged edge tiles; head sizes that are and are not multiples of 16.
    public static TheoryData<int, int, int, int, string> Cases() => new()
    {
        { 2, 16, 16, 128, "nabla-0.5" },
        { 2, 16, 16, 64, "sta-1-3-3" },
        { 3, 13, 10, 128, "nabla-0.7" },
        { 3, 13, 10, 40, "nabla-0.3_sta-3-1-1" },
        { 1, 5, 3, 12, "nabla-0.9" },
        { 2, 9, 30, 20, "sta-3-3-3" },
        { 4, 17, 23, 32, "nabla-0.05" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Output_equals_dense_attention_under_the_mask(int time, int height, int width, int dim, string expression)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(time, height, width);
        var (q, k, v) = Random(2, 3, layout.Tokens, dim);
        var output = new CpuBlockSparseBackend().Forward(q, k, v, layout, AttentionExpression.Parse(expression), out var kept);
        var mask = (BlockMask)kept;

        var expected = functional.scaled_dot_product_attention(
            q.to_type(ScalarType.Float64), k.to_type(ScalarType.Float64), v.to_type(ScalarType.Float64), Expand(mask, 2));
        Golden.AssertClose(output, expected, 1e-6);
    }

    [Theory]
    [InlineData(4, 17, 23, 0.2)]
    [InlineData(2, 16, 24, 0.7)]
    [InlineData(2, 9, 9, 0.95)]
    public void Nabla_keeps_the_largest_blocks_that_carry_the_threshold(int time, int height, int width, double threshold)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(time, height, width);
        var (q, k, v) = Random(1, 2, layout.Tokens, 64);
        new CpuBlockSparseBackend().Forward(q, k, v, layout, AttentionExpression.Nabla(threshold), out var kept);
        var mask = (BlockMask)kept;
        for (var head = 0; head < 2; head++)
        {
            var mass = Mass(q[0][head], k[0][head], layout);
            for (var row = 0; row < layout.Blocks; row++)
            {
                var columns = mask.Row(head, row).ToArray();
                Assert.Equal(columns.Order(), columns);
                Assert.NotEmpty(columns);
                var inside = columns.Select(j => mass[row, j]).ToArray();
                var outside = Enumerable.Range(0, layout.Blocks).Except(columns).Select(j => mass[row, j]).DefaultIfEmpty(0).Max();
                Assert.True(inside.Min() >= outside - 1e-6);
                // Enough, and not one block more than it takes.
                Assert.True(inside.Sum() >= threshold - 1e-5);
                Assert.True(columns.Length == 1 || inside.Sum() - inside.Min() < threshold + 1e-5);
            }
        }
    }

    [Theory]
    [InlineData("nabla-0.2", 5)]
    [InlineData("nabla-0.9", 3)]
    [InlineData("nabla-0.2", 10_000)]
    [InlineData("nabla-0.05", 4, "_sta-1-1-3")]
    public void A_floor_keeps_the_largest_blocks_beside_those_of_the_threshold(string nabla, int top, string window = "")
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(3, 17, 23);
        var (q, k, v) = Random(1, 2, layout.Tokens, 64);
        BlockMask Of(string expression)
        {
            new CpuBlockSparseBackend().Forward(q, k, v, layout, AttentionExpression.Parse(expression), out var kept);
            return (BlockMask)kept;
        }

        var (with, without) = (Of($"{nabla}+top{top}{window}"), Of(nabla + window));
        for (var head = 0; head < 2; head++)
        {
            var mass = Mass(q[0][head], k[0][head], layout);
            for (var row = 0; row < layout.Blocks; row++)
            {
                var largest = Enumerable.Range(0, layout.Blocks).OrderByDescending(j => mass[row, j]).Take(top);
                Assert.Equal(without.Row(head, row).ToArray().Union(largest).Order(), with.Row(head, row).ToArray());
            }
        }

        Assert.True(with.Density >= Math.Min(top, layout.Blocks) / (double)layout.Blocks - 1e-9);
    }

    [Fact]
    public void A_uniform_map_weighs_ragged_blocks_by_their_tokens()
    {
        using var scope = NewDisposeScope();
        // Equal keys: every token carries the same mass, so a tile of 8 × 2 carries a quarter of a full one.
        var layout = BlockLayout.Create(1, 8, 18);
        var q = ones(1, 1, layout.Tokens, 16);
        new CpuBlockSparseBackend().Forward(q, q, q, layout, AttentionExpression.Nabla(0.85), out var kept);
        var mask = (BlockMask)kept;
        for (var row = 0; row < layout.Blocks; row++)
        {
            Assert.Equal([0, 1], mask.Row(0, row).ToArray());
        }

        Assert.Equal(2.0 / 3, mask.Density, 6);
    }

    [Fact]
    public void The_union_has_the_blocks_of_both()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(4, 17, 23);
        var (q, k, v) = Random(1, 1, layout.Tokens, 32);
        BlockMask Of(string expression)
        {
            new CpuBlockSparseBackend().Forward(q, k, v, layout, AttentionExpression.Parse(expression), out var kept);
            return (BlockMask)kept;
        }

        var (nabla, sta, both) = (Of("nabla-0.3"), Of("sta-3-1-3"), Of("nabla-0.3_sta-3-1-3"));
        for (var row = 0; row < layout.Blocks; row++)
        {
            Assert.Equal(nabla.Row(0, row).ToArray().Union(sta.Row(0, row).ToArray()).Order(), both.Row(0, row).ToArray());
        }
    }

    [Fact]
    public void The_schedule_keeps_the_first_steps_and_layers_dense()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(1, 8, 16);
        var (q, k, v) = Random(1, 1, layout.Tokens, 16);
        var seen = new MaskRecorder();
        var attention = AttentionFactory.Create(AttentionExpression.Nabla(0.5), CPU, denseSteps: 2, denseLayers: 1, observer: seen);
        for (var step = 0; step < 4; step++)
        {
            for (var layer = 0; layer < 3; layer++)
            {
                attention.Forward(q, k, v, layout, new AttentionSite(step, layer));
            }
        }

        Assert.Equal([new(2, 1), new(2, 2), new(3, 1), new(3, 2)], seen.Masks.Select(mask => mask.Site));
        Assert.Equal(8, seen.Dense.Count);
    }

    [Fact]
    public void Results_do_not_depend_on_the_run()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(4, 17, 23);
        var (q, k, v) = Random(1, 2, layout.Tokens, 64);
        var backend = new CpuBlockSparseBackend();
        var first = backend.Forward(q, k, v, layout, AttentionExpression.Nabla(0.5), out _);
        var second = backend.Forward(q, k, v, layout, AttentionExpression.Nabla(0.5), out _);
        Assert.True(first.eq(second).all().item<bool>());
    }

    [Fact]
    public void Bfloat16_comes_back_as_bfloat16()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(1, 8, 16);
        var (q, k, v) = Random(1, 1, layout.Tokens, 64);
        var output = new CpuBlockSparseBackend().Forward(
            q.to_type(ScalarType.BFloat16), k.to_type(ScalarType.BFloat16), v.to_type(ScalarType.BFloat16), layout, AttentionExpression.Nabla(0.5), out _);
        Assert.Equal(ScalarType.BFloat16, output.dtype);
    }

    internal static (Tensor Q, Tensor K, Tensor V) Random(int batch, int heads, int tokens, int dim)
    {
        using var generator = new Generator(17);
        return (Draw(), Draw(), Draw());

        // Means over a block must differ, so that the map is not flat.
        Tensor Draw() => randn([batch, heads, tokens, dim], generator: generator)
            + (randn([batch, heads, (tokens + 63) / 64, dim], generator: generator) * 0.6).repeat_interleave(64, 2).narrow(2, 0, tokens);
    }

    // P in float64, straight from the definition.
    private static double[,] Mass(Tensor q, Tensor k, BlockLayout layout)
    {
        using var scope = NewDisposeScope();
        var (means, keys) = (Means(q, layout), Means(k, layout));
        var sizes = tensor(layout.Lengths.ToArray().Select(n => Math.Log(n / 64.0)).ToArray());
        var p = functional.softmax(means.matmul(keys.t()) / Math.Sqrt(q.shape[1]) + sizes, 1);
        var values = p.data<double>().ToArray();
        var result = new double[layout.Blocks, layout.Blocks];
        Buffer.BlockCopy(values, 0, result, 0, values.Length * sizeof(double));
        return result;
    }

    private static Tensor Means(Tensor x, BlockLayout layout) => stack(Enumerable.Range(0, layout.Blocks)
        .Select(i => x.to_type(ScalarType.Float64).narrow(0, layout.Starts[i], layout.Lengths[i]).mean([0])));

    // The mask by tokens. [B, H, L, L]
    internal static Tensor Expand(BlockMask mask, int batch)
    {
        var layout = mask.Layout;
        var full = zeros(mask.Heads, layout.Tokens, layout.Tokens, dtype: ScalarType.Bool);
        for (var head = 0; head < mask.Heads; head++)
        {
            for (var row = 0; row < layout.Blocks; row++)
            {
                foreach (var column in mask.Row(head, row))
                {
                    full[head].narrow(0, layout.Starts[row], layout.Lengths[row]).narrow(1, layout.Starts[column], layout.Lengths[column]).fill_(true);
                }
            }
        }

        return full.reshape(batch, -1, layout.Tokens, layout.Tokens);
    }
}
