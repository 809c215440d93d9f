using NablaGen.Attention;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

/// <summary>Queries, keys and values by one product, and one op for the norm and the rotation of both.</summary>
public class JoinedHeadsTests
{
    private static readonly ModuleOptions Fp8 = ModuleOptions.Cpu with { MatrixFormat = MatrixFormats.Fp8 };

    public static TheoryData<string, int, int, bool> Places => new()
    {
        // Pools pad each parameter to 256 bytes: 48 biases of four bytes leave a gap.
        { MatrixFormats.Dense, 64, 64, true },
        { MatrixFormats.Fp8, 64, 64, true },
        { MatrixFormats.Dense, 48, 48, false },
        { MatrixFormats.Fp8, 16, 48, false },
    };

    [Theory]
    [MemberData(nameof(Places))]
    public void One_product_is_that_of_three_wherever_they_lie_together(string format, int inputs, int outputs, bool isJoinedInPool)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var options = ModuleOptions.Cpu with { MatrixFormat = format };
        using var shape = new Three(inputs, outputs, options with { Device = META });
        using var pool = ParameterPool.For(shape, CPU);
        using var alone = new Three(inputs, outputs, options);
        using var pooled = new Three(inputs, outputs, options with { Pool = pool });
        var x = randn([2, 5, inputs]);
        foreach (var (three, isJoined) in new[] { (alone, true), (pooled, isJoinedInPool) })
        {
            three.Fill();
            var together = AutocastLinear.ForwardJoined(x, three.Layers);
            Assert.Equal(isJoined, together is not null);
            if (together is not null)
            {
                Golden.AssertClose(together, cat([.. three.Layers.Select(layer => layer.forward(x))], 2), 1e-6);
            }
        }
    }

    [Fact]
    public void Layers_that_were_made_one_by_one_are_not_joined()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using AutocastLinear a = new(16, 16, ModuleOptions.Cpu), b = new(16, 16, ModuleOptions.Cpu), c = new(16, 16, Fp8);
        Assert.Null(AutocastLinear.ForwardJoined(randn([1, 16]), a, b));
        Assert.Null(AutocastLinear.ForwardJoined(randn([1, 16]), a, c));
        using var stored = new Three(16, 16, ModuleOptions.Cpu with { MatrixFormat = MatrixFormats.Stored });
        Assert.Null(AutocastLinear.ForwardJoined(randn([1, 16]), stored.Layers));
    }

    [Theory]
    [InlineData("dense")]
    [InlineData("nabla-0.7")]
    public void The_golden_transformer_agrees_with_the_reference(string expression)
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        using var model = golden.Dit();
        Golden.AssertClose(Forward(golden, model, expression, new TorchDitOps { TakesJoinedHeads = true }), Forward(golden, model, expression, new TorchDitOps()), 2e-6);
        Golden.AssertClose(Forward(golden, model, "dense", new TorchDitOps { TakesJoinedHeads = true }), golden["out.dense"], 1e-5);
    }

    [Fact]
    public void Fp8_products_are_joined_too()
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        using var model = golden.Dit(Fp8);
        // A sum in another order moves a few numbers over the edge between two codes.
        Golden.AssertClose(Forward(golden, model, "dense", new TorchDitOps { TakesJoinedHeads = true }), Forward(golden, model, "dense", new TorchDitOps()), 2e-3);
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(1536, 12, 1, ScalarType.BFloat16)]
    [InlineData(5120, 40, 2, ScalarType.BFloat16)]
    [InlineData(192, 3, 2, ScalarType.Float16)]
    public void One_launch_for_both_gives_the_bits_of_two(int dim, int heads, int batch, ScalarType type)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var layout = BlockLayout.Create(2, 13, 10);
        using var ops = new CudaDitOps(CUDA, type, layout);
        using var rope = new RopeTable(layout, dim / heads, CUDA);
        var options = new ModuleOptions(CUDA, type);
        using WanRmsNorm normQ = new(dim, 1e-6, options), normK = new(dim, 1e-6, options);
        normQ.Weight.normal_();
        normK.Weight.normal_();
        var joined = randn([batch, layout.Tokens, 3 * dim], device: CUDA).to_type(type);
        Tensor Part(int part) => joined.narrow(2, part * dim, dim).contiguous();
        var (q, meansQ) = ops.NormalizeHeads(normQ, Part(0), heads, rope, wantsMeans: true);
        var (k, meansK) = ops.NormalizeHeads(normK, Part(1), heads, rope, wantsMeans: true);
        var v = Part(2);
        var (bothQ, bothK, means) = ops.NormalizeJoinedHeads(normQ, normK, joined, heads, rope, wantsMeans: true);
        Assert.True(bothQ.eq(q).all().item<bool>() && bothK.eq(k).all().item<bool>());
        Assert.True(means!.Q.eq(meansQ!).all().item<bool>() && means.K.eq(meansK!).all().item<bool>());
        Assert.True(Part(2).eq(v).all().item<bool>());
        Assert.Null(ops.NormalizeJoinedHeads(normQ, normK, joined, heads, rope, wantsMeans: false).Means);
    }

    private static Tensor Forward(Golden golden, WanModel model, string expression, IDitOps ops)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var x = golden["x"];
        using var attention = AttentionFactory.Create(AttentionExpression.Parse(expression), CPU, denseSteps: 0);
        using var run = new DitRun(model.Config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], attention, ModuleOptions.Cpu, ops);
        return model.forward(x.unsqueeze(0), golden["t"], golden["context"].unsqueeze(0), run).squeeze(0).MoveToOuterDisposeScope();
    }

    private sealed class Three : nn.Module
    {
        public Three(int inputs, int outputs, ModuleOptions options)
            : base(nameof(Three))
        {
            Layers = AutocastLinear.Adjacent(3, inputs, outputs, options);
            for (var i = 0; i < Layers.Length; i++)
            {
                register_module($"{i}", Layers[i]);
            }
        }

        public AutocastLinear[] Layers { get; }

        public void Fill()
        {
            foreach (var layer in Layers)
            {
                layer.Matrix.Load(new Random());
                layer.Bias!.normal_();
            }
        }

        private sealed class Random : IMatrixValues
        {
            public string Name => "random numbers";

            public StoredNumbers? Stored => null;

            public void CopyTo(Tensor target) => target.normal_();
        }
    }
}
