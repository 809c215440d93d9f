using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using NablaGen.Tests.Attention;
using NablaGen.Training.Attention;
using NablaGen.Training.Attention.Cpu;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Tests.Training.Attention;

public class BlockSparseGradientTests
{
    private const double Tolerance = 2e-6;

    // Full and ragged blocks, odd head sizes, densities from one block a row to all of them.
    public static TheoryData<int, int, int, int, string> Cases() => new()
    {
        { 2, 16, 16, 128, "nabla-0.5" },
        { 2, 16, 16, 64, "sta-1-3-3" },
        { 3, 13, 10, 128, "nabla-0.7" },
        { 3, 13, 10, 40, "nabla-0.3_sta-3-1-1" },
        { 1, 5, 3, 12, "nabla-0.9" },
        { 2, 9, 30, 20, "sta-3-3-3" },
        { 4, 17, 23, 32, "nabla-0.05" },
        { 2, 17, 23, 64, "nabla-1.0" },
        { 8, 16, 24, 16, "nabla-0.01" },
        { 8, 16, 24, 16, "sta-1-1-1" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Gradients_equal_those_of_dense_attention_under_the_mask(int time, int height, int width, int dim, string expression)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(time, height, width);
        var (q, k, v) = Inputs(2, 3, layout.Tokens, dim, ScalarType.Float32);
        var output = DifferentiableBackend.Create(CPU).Forward(q, k, v, layout, AttentionExpression.Parse(expression), out var kept);
        var weight = randn_like(output);
        (output * weight).sum().backward();

        var (exactOutput, exact) = Dense(q, k, v, (BlockMask)kept, weight);
        Golden.AssertClose(output.detach(), exactOutput, 1e-6);
        Golden.AssertClose(q.grad!, exact.Q, Tolerance);
        Golden.AssertClose(k.grad!, exact.K, Tolerance);
        Golden.AssertClose(v.grad!, exact.V, Tolerance);
    }

    [Fact]
    public void A_difference_quotient_agrees()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(2, 9, 17);
        var (q, k, v) = Inputs(1, 2, layout.Tokens, 32, ScalarType.Float32);
        // A window, so that no step across a threshold changes the mask.
        var expression = AttentionExpression.Parse("sta-1-3-3");
        var backend = DifferentiableBackend.Create(CPU);
        var weight = randn_like(v);
        double Loss(Tensor a, Tensor b, Tensor c)
        {
            using var noGrad = no_grad();
            return (backend.Forward(a, b, c, layout, expression, out _) * weight).to_type(ScalarType.Float64).sum().item<double>();
        }

        (backend.Forward(q, k, v, layout, expression, out _) * weight).sum().backward();
        const double Step = 1e-2;
        foreach (var (x, call) in new (Tensor, Func<Tensor, double>)[]
        {
            (q, moved => Loss(moved, k, v)), (k, moved => Loss(q, moved, v)), (v, moved => Loss(q, k, moved)),
        })
        {
            var direction = randn_like(x);
            var quotient = (call(x.detach() + direction * Step) - call(x.detach() - direction * Step)) / (2 * Step);
            var expected = (x.grad! * direction).sum().item<float>();
            Assert.InRange(quotient, expected - 0.02 * Math.Abs(expected) - 0.05, expected + 0.02 * Math.Abs(expected) + 0.05);
        }
    }

    [Fact]
    public void Keys_that_nobody_attends_to_get_no_gradient()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(4, 8, 24);
        var (q, k, v) = Inputs(1, 2, layout.Tokens, 32, ScalarType.Float32);
        // One block each, so of twelve key blocks some have no query.
        var output = DifferentiableBackend.Create(CPU).Forward(q, k, v, layout, AttentionExpression.Nabla(0.01), out var kept);
        var mask = (BlockMask)kept;
        output.square().sum().backward();
        var lists = new QueryLists(mask);
        var alone = 0;
        for (var head = 0; head < 2; head++)
        {
            for (var block = 0; block < layout.Blocks; block++)
            {
                Assert.Equal(1, mask.Row(head, block).Length);
                var reached = lists.Of(head, block).Length > 0;
                alone += reached ? 0 : 1;
                foreach (var gradient in new[] { k.grad!, v.grad! })
                {
                    var part = gradient[0][head].narrow(0, layout.Starts[block], layout.Lengths[block]);
                    Assert.Equal(reached, part.ne(0).any().item<bool>());
                }
            }
        }

        Assert.True(alone > 0);
    }

    [Theory]
    [InlineData("nabla-0.3")]
    [InlineData("sta-1-3-3")]
    public void The_transposed_lists_hold_the_same_pairs(string expression)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(4, 17, 23);
        var (q, k, v) = BlockSparseTests.Random(1, 3, layout.Tokens, 32);
        new CpuBlockSparseBackend().Forward(q, k, v, layout, AttentionExpression.Parse(expression), out var kept);
        var mask = (BlockMask)kept;
        var lists = new QueryLists(mask);
        for (var head = 0; head < mask.Heads; head++)
        {
            for (var key = 0; key < layout.Blocks; key++)
            {
                var expected = Enumerable.Range(0, layout.Blocks).Where(query => mask.Row(head, query).Contains(key));
                Assert.Equal(expected, lists.Of(head, key).ToArray());
            }
        }
    }

    [Fact]
    public void Inputs_of_bfloat16_get_gradients_of_bfloat16()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(2, 16, 16);
        var (q, k, v) = Inputs(1, 2, layout.Tokens, 64, ScalarType.BFloat16);
        var output = DifferentiableBackend.Create(CPU).Forward(q, k, v, layout, AttentionExpression.Nabla(0.5), out var kept);
        var weight = randn_like(output);
        (output * weight).sum().backward();
        var (_, exact) = Dense(q, k, v, (BlockMask)kept, weight);
        foreach (var (got, expected) in new[] { (q.grad!, exact.Q), (k.grad!, exact.K), (v.grad!, exact.V) })
        {
            Assert.Equal(ScalarType.BFloat16, got.dtype);
            Golden.AssertClose(got, expected, 0.02);
        }
    }

    [Fact]
    public void Views_of_a_linear_layers_output_get_their_gradients()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(1, 16, 16);
        // [B, L, H, D] in memory, as the model has them; q is used twice, and only it asks for a gradient.
        var x = randn(2, layout.Tokens, 3, 16, requires_grad: true);
        var (k, v) = (randn(2, 3, layout.Tokens, 16), randn(2, 3, layout.Tokens, 16));
        var q = x.transpose(1, 2);
        var output = DifferentiableBackend.Create(CPU).Forward(q, k, v, layout, AttentionExpression.Nabla(0.5), out var kept);
        (output.transpose(1, 2).flatten(2).square().sum() + q.sum()).backward();

        var (exactOutput, _) = Dense(q, k, v, (BlockMask)kept, ones_like(output));
        var (_, exact) = Dense(q, k, v, (BlockMask)kept, exactOutput * 2);
        Golden.AssertClose(x.grad!, exact.Q.transpose(1, 2) + 1, Tolerance);
    }

    [Fact]
    public void Without_a_gradient_to_compute_none_is_prepared()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(1, 16, 16);
        var (q, k, v) = Inputs(1, 1, layout.Tokens, 16, ScalarType.Float32);
        var backend = DifferentiableBackend.Create(CPU);
        using (no_grad())
        {
            Assert.False(backend.Forward(q, k, v, layout, AttentionExpression.Nabla(0.5), out _).requires_grad);
        }

        var (a, b, c) = (q.detach(), k.detach(), v.detach());
        Assert.False(backend.Forward(a, b, c, layout, AttentionExpression.Nabla(0.5), out _).requires_grad);
        Assert.True(backend.Forward(q, b, c, layout, AttentionExpression.Nabla(0.5), out _).requires_grad);
    }

    [Fact]
    public void The_graph_can_be_walked_twice_and_gradients_do_not_depend_on_the_run()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(2, 17, 23);
        var (q, k, v) = Inputs(1, 2, layout.Tokens, 32, ScalarType.Float32);
        var loss = DifferentiableBackend.Create(CPU).Forward(q, k, v, layout, AttentionExpression.Nabla(0.5), out _).square().sum();
        var first = autograd.grad([loss], [q, k, v], retain_graph: true);
        var second = autograd.grad([loss], [q, k, v]);
        for (var i = 0; i < 3; i++)
        {
            Assert.True(first[i].eq(second[i]).all().item<bool>());
        }
    }

    internal static (Tensor Q, Tensor K, Tensor V) Inputs(int batch, int heads, int tokens, int dim, ScalarType type)
    {
        random.manual_seed(3);
        var (q, k, v) = BlockSparseTests.Random(batch, heads, tokens, dim);
        return (Leaf(q), Leaf(k), Leaf(v));

        Tensor Leaf(Tensor x) => x.to_type(type).detach().requires_grad_(true);
    }

    // Output and gradients of libtorch's attention in float64 under the mask, for the loss Σ output · weight.
    private static (Tensor Output, (Tensor Q, Tensor K, Tensor V) Gradients) Dense(Tensor q, Tensor k, Tensor v, BlockMask mask, Tensor weight)
    {
        var inputs = new[] { q, k, v }.Select(x => x.detach().to_type(ScalarType.Float64).requires_grad_(true)).ToArray();
        var output = functional.scaled_dot_product_attention(inputs[0], inputs[1], inputs[2], BlockSparseTests.Expand(mask, (int)q.shape[0]));
        (output * weight.detach().to_type(ScalarType.Float64)).sum().backward();
        return (output.detach(), (inputs[0].grad!, inputs[1].grad!, inputs[2].grad!));
    }
}
