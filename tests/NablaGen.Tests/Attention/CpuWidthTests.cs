using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using NablaGen.Tests.Training.Attention;
using NablaGen.Training.Attention;
using NablaGen.Training.Attention.Cpu;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Tests.Attention;

/// <summary>
/// Both widths of the CPU kernels on every machine, whichever it would choose: 8 floats (AVX2) and 16 (AVX-512, in software where there is
/// none). <c>DOTNET_EnableAVX512=0</c> makes a machine with AVX-512 choose 8 in all other tests too.
/// </summary>
[Collection(nameof(AloneCollection))]
public unsafe class CpuWidthTests
{
    public static TheoryData<int> Widths() => new() { 8, 16 };

    // Widths × full and ragged blocks, head sizes that are and are not multiples of 16.
    public static TheoryData<int, int, int, int, int, string> Cases()
    {
        var cases = new TheoryData<int, int, int, int, int, string>();
        foreach (var lanes in new[] { 8, 16 })
        {
            cases.Add(lanes, 2, 16, 16, 128, "nabla-0.5");
            cases.Add(lanes, 3, 13, 10, 40, "nabla-0.3_sta-3-1-1");
            cases.Add(lanes, 1, 5, 3, 12, "nabla-0.9");
            cases.Add(lanes, 2, 9, 30, 20, "sta-3-3-3");
            cases.Add(lanes, 2, 15, 11, 80, "nabla-1.0");
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Output_and_gradients_equal_those_of_dense_attention(int lanes, int time, int height, int width, int dim, string expression)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(time, height, width);
        var (q, k, v) = BlockSparseGradientTests.Inputs(2, 2, layout.Tokens, dim, ScalarType.Float32);
        using var backend = new DifferentiableBackend(new CpuAttentionDifferentiator(lanes));
        var output = backend.Forward(q, k, v, layout, AttentionExpression.Parse(expression), out var kept);
        var weight = randn_like(output);
        output.backward([weight]);

        var exact = new[] { q, k, v }.Select(x => x.detach().to_type(ScalarType.Float64).requires_grad_(true)).ToArray();
        var expected = functional.scaled_dot_product_attention(exact[0], exact[1], exact[2], BlockSparseTests.Expand((BlockMask)kept, 2));
        expected.backward([weight.to_type(ScalarType.Float64)]);
        Golden.AssertClose(output.detach(), expected.detach(), 1e-6);
        Golden.AssertClose(q.grad!, exact[0].grad!, 2e-6);
        Golden.AssertClose(k.grad!, exact[1].grad!, 2e-6);
        Golden.AssertClose(v.grad!, exact[2].grad!, 2e-6);
    }

    // Every number of rows a block can have, so every way to divide them into tiles; depths that do and do not end with a panel.
    [Fact]
    public void Products_are_exact_to_rounding_and_of_the_same_bits_in_both_widths()
    {
        for (var rows = 1; rows <= 64; rows++)
        {
            var (columns, depth) = (16 * (1 + rows % 9), 1 + rows * 37 % 128);
            foreach (var accumulate in new[] { false, true })
            {
                var (narrow, exact, bound) = Product<Lanes8>(rows, columns, depth, accumulate);
                var (wide, _, _) = Product<Lanes16>(rows, columns, depth, accumulate);
                Assert.Equal(wide, narrow);
                for (var i = 0; i < exact.Length; i++)
                {
                    Assert.InRange(narrow[i] - exact[i], -bound[i], bound[i]);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Exponentials_are_right_to_two_units_in_the_last_place(int lanes)
    {
        for (var x = -87f; x < 88f; x += 0.00173f)
        {
            var exact = Math.Exp(x);
            Assert.InRange((Exp(lanes, x) - exact) / exact, -2.4e-7, 2.4e-7);
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Exponentials_of_what_is_no_common_number(int lanes)
    {
        Assert.Equal(1f, Exp(lanes, 0), 2.4e-7f);
        Assert.Equal(0, Exp(lanes, float.NegativeInfinity));
        Assert.Equal(0, Exp(lanes, -1000));
        Assert.InRange(Exp(lanes, -87.6f), 0, 1.2e-38f);
        Assert.Equal(float.PositiveInfinity, Exp(lanes, 1000));
        Assert.Equal(float.PositiveInfinity, Exp(lanes, float.PositiveInfinity));
        Assert.Equal(float.NaN, Exp(lanes, float.NaN));
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void A_NaN_in_a_key_reaches_every_query_that_attends_to_it(int lanes)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(1, 13, 16);
        var (q, k, v) = BlockSparseTests.Random(1, 1, layout.Tokens, 32);
        k[0][0][70].fill_(float.NaN);
        var output = new CpuBlockSparseBackend(lanes).Forward(q, k, v, layout, AttentionExpression.Parse("sta-1-3-3"), out _);
        Assert.True(output.isnan().all().item<bool>());
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void The_number_of_threads_changes_nothing(int lanes)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(3, 13, 20);
        var (q, k, v) = BlockSparseGradientTests.Inputs(1, 2, layout.Tokens, 48, ScalarType.Float32);
        var threads = get_num_threads();
        try
        {
            var results = new[] { 1, 3 }.Select(count =>
            {
                set_num_threads(count);
                using var backend = new DifferentiableBackend(new CpuAttentionDifferentiator(lanes));
                var output = backend.Forward(q, k, v, layout, AttentionExpression.Nabla(0.5), out _);
                return autograd.grad([output.square().sum()], [q, k, v]).Prepend(output.detach()).ToArray();
            }).ToArray();
            foreach (var (one, three) in results[0].Zip(results[1]))
            {
                Assert.True(one.eq(three).all().item<bool>());
            }
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    [Fact]
    public void There_is_no_other_width()
    {
        Assert.Contains(CpuLanes.Widest, new[] { 8, 16 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new CpuBlockSparseBackend(4));
    }

    private static float Exp(int lanes, float x)
    {
        var result = stackalloc float[16];
        if (lanes == 8)
        {
            Lanes8.Exp(Lanes8.All(x)).Store(result);
        }
        else
        {
            Lanes16.Exp(Lanes16.All(x)).Store(result);
        }

        return result[lanes - 1];
    }

    // C, row-major; the same in float64; and how far apart they may be: a rounding a product, of the sum of the absolute values.
    private static (float[] Value, double[] Exact, double[] Bound) Product<T>(int rows, int columns, int depth, bool accumulate)
        where T : struct, ILanes<T>
    {
        var random = new Random(rows);
        var (a, b, c) = (Draw(rows * depth), Draw(depth * columns), Draw(rows * columns));
        var depthOfA = PackedHead.Pad(depth);
        using var left = new BlockMatrices(T.Count, 1, 64, depthOfA);
        using var right = new BlockMatrices(T.Count, 1, depthOfA, columns);
        using var product = new BlockMatrices(T.Count, 1, 64, columns);
        fixed (float* pa = a, pb = b, pc = c)
        {
            left.Load(0, pa, rows, depth, 1);
            right.Load(0, pb, depth, columns, 1);
            product.Load(0, pc, rows, columns, 1);
        }

        CpuGemm.Multiply<T>(left[0], right[0], product[0], rows, columns, depth, accumulate);
        var (value, exact, bound) = (new float[rows * columns], new double[rows * columns], new double[rows * columns]);
        for (var row = 0; row < rows; row++)
        {
            fixed (float* to = value)
            {
                product[0].StoreRow(row, to + row * columns, columns, 1);
            }

            for (var column = 0; column < columns; column++)
            {
                var i = row * columns + column;
                exact[i] = accumulate ? c[i] : 0;
                double size = Math.Abs(exact[i]);
                for (var k = 0; k < depth; k++)
                {
                    var term = (double)a[row * depth + k] * b[k * columns + column];
                    exact[i] += term;
                    size += Math.Abs(term);
                }

                bound[i] = (depth + 1) * 6e-8 * size;
            }
        }

        return (value, exact, bound);

        float[] Draw(int count) => Enumerable.Range(0, count).Select(_ => random.NextSingle() * 2 - 1).ToArray();
    }
}
