using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using NablaGen.Tensors;
using NablaGen.Training.Attention;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Tests.Attention;

public class PooledTailTests
{
    [Theory]
    [InlineData(2, 16, 16, 128, "nabla-0.5+tail", 16)]
    [InlineData(3, 13, 10, 128, "nabla-0.7+tail", 8)]
    [InlineData(3, 13, 10, 40, "nabla-0.3+tail_sta-3-1-1", 16)]
    [InlineData(2, 9, 30, 20, "nabla-0.2+top2+tail", 8)]
    [InlineData(4, 17, 23, 32, "nabla-0.05+tail", 16)]
    public void Output_equals_the_formula_in_float64(int time, int height, int width, int dim, string text, int lanes)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(time, height, width);
        var (q, k, v) = BlockSparseTests.Random(2, 3, layout.Tokens, dim);
        var output = new CpuBlockSparseBackend(lanes).Forward(q, k, v, layout, AttentionExpression.Parse(text), out var kept);
        var without = new CpuBlockSparseBackend(lanes).Forward(q, k, v, layout, AttentionExpression.Parse(text) with { HasTail = false }, out _);
        Golden.AssertClose(output, Naive(q, k, v, (BlockMask)kept), 1e-6);
        // It is no small matter that the test could miss.
        Assert.True((output - without).abs().max().item<float>() > 1e-3);
    }

    [Theory]
    [InlineData("nabla-1")]
    [InlineData("nabla-0.4+top10000")]
    public void No_bit_changes_where_nothing_is_dropped(string text)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(2, 13, 20);
        var (q, k, v) = BlockSparseTests.Random(1, 2, layout.Tokens, 64);
        var backend = new CpuBlockSparseBackend();
        var with = backend.Forward(q, k, v, layout, AttentionExpression.Parse(text + "+tail"), out _);
        Assert.True(with.eq(backend.Forward(q, k, v, layout, AttentionExpression.Parse(text), out _)).all().item<bool>());
    }

    [Fact]
    public void It_is_exact_where_the_queries_and_the_keys_of_a_block_agree()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(2, 13, 20);
        var (q, k, v) = BlockSparseTests.Random(1, 2, layout.Tokens, 32);
        var firsts = tensor(Enumerable.Range(0, layout.Blocks).SelectMany(i => Enumerable.Repeat((long)layout.Starts[i], layout.Lengths[i])).ToArray());
        (q, k) = (q.index_select(2, firsts), k.index_select(2, firsts));
        var output = new CpuBlockSparseBackend().Forward(q, k, v, layout, AttentionExpression.Parse("nabla-0.3+tail"), out var kept);
        Assert.True(((BlockMask)kept).Density < 0.6);
        Golden.AssertClose(output, functional.scaled_dot_product_attention(q.@double(), k.@double(), v.@double()), 2e-6);
    }

    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    public unsafe void A_row_that_keeps_nothing_sees_the_pooled_term_alone(int lanes)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(1, 8, 21);
        var (q, k, v) = BlockSparseTests.Random(1, 1, layout.Tokens, 24);
        using var head = new PackedHead(layout, 24, lanes);
        head.Pack(TensorMemory.Floats(q), TensorMemory.Floats(k), TensorMemory.Floats(v));
        using var tail = new CpuPooledTail(head);
        int[] starts = [0, 0, 2, 3], lists = [0, 2, 1];
        tail.Build(starts, lists);
        var (output, logSumExp) = (empty_like(q), empty(layout.Tokens));
        BlockSparseKernel.Run(head, starts, lists, TensorMemory.Floats(output), TensorMemory.Floats(logSumExp), tail);
        Golden.AssertClose(output, Naive(q, k, v, new BlockMask(layout, [starts], [lists])), 1e-6);
        Assert.True(logSumExp.isfinite().all().item<bool>());
    }

    [Fact]
    public void Training_refuses_it_in_one_line()
    {
        var expression = AttentionExpression.Parse("nabla-0.5+tail");
        Assert.Contains("+tail has no gradient", Assert.Throws<InvalidRequestException>(() => DifferentiableAttention.Create(expression, CPU)).Message, StringComparison.Ordinal);
        using var backend = DifferentiableBackend.Create(CPU);
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(1, 8, 16);
        var (q, k, v) = BlockSparseTests.Random(1, 1, layout.Tokens, 16);
        Assert.Throws<InvalidRequestException>(() => backend.Forward(q.requires_grad_(true), k, v, layout, expression, out _));
    }

    // The definition, token by token.
    internal static Tensor Naive(Tensor q, Tensor k, Tensor v, BlockMask mask)
    {
        var layout = mask.Layout;
        var (batch, scale) = (q.shape[0], 1 / Math.Sqrt(q.shape[3]));
        (q, k, v) = (q.@double(), k.@double(), v.@double());
        var owner = tensor(Enumerable.Range(0, layout.Blocks).SelectMany(i => Enumerable.Repeat((long)i, layout.Lengths[i])).ToArray());
        var tokens = BlockSparseTests.Expand(mask, (int)batch);
        var firsts = tensor(layout.Starts.ToArray().Select(start => (long)start).ToArray());
        var kept = tokens.index_select(2, firsts).index_select(3, firsts);
        var sizes = tensor(layout.Lengths.ToArray().Select(n => (double)n).ToArray());
        Tensor Means(Tensor x) => stack(Enumerable.Range(0, layout.Blocks).Select(i => x.narrow(2, layout.Starts[i], layout.Lengths[i]).mean([2])), 2);
        var (queries, keys, values) = (Means(q), Means(k), Means(v));
        var logits = (queries.matmul(keys.transpose(2, 3)) * scale + sizes.log()).masked_fill(kept, double.NegativeInfinity);
        var weights = logits.softmax(-1).nan_to_num(0);
        var (key, value) = (weights.matmul(keys).index_select(2, owner), weights.matmul(values).index_select(2, owner));
        var term = ((q - queries.index_select(2, owner)) * key).sum([-1], true) * scale + logits.logsumexp(-1, true).index_select(2, owner);
        var own = (q.matmul(k.transpose(2, 3)) * scale).masked_fill(tokens.logical_not(), double.NegativeInfinity);
        var all = cat([own, term], -1).softmax(-1);
        return all.narrow(3, 0, layout.Tokens).matmul(v) + all.narrow(3, layout.Tokens, 1) * value;
    }
}
