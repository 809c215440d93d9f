using NablaGen.Attention;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using NablaGen.Training.Attention;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training.Attention;

/// <summary>Block-sparse attention's gradients on a CUDA device, through libtorch's autograd.</summary>
[Trait("gpu", "true")]
public class CudaGradientTests
{
    // A window has the same mask on every device, so that only the kernels differ.
    public static TheoryData<int, int, int, int, string> Windows() => new()
    {
        { 2, 16, 16, 128, "sta-1-3-3" },
        { 3, 13, 10, 64, "sta-3-1-1" },
        { 4, 17, 23, 128, "sta-3-3-1" },
        { 2, 16, 24, 64, "sta-1-1-1" },
        { 1, 5, 3, 128, "sta-1-1-1" },
    };

    [Theory]
    [MemberData(nameof(Windows))]
    public void Gradients_agree_with_those_of_the_cpu(int time, int height, int width, int dim, string expression)
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(time, height, width);
        var inputs = BlockSparseGradientTests.Inputs(2, 3, layout.Tokens, dim, ScalarType.BFloat16);
        var weight = randn(2, 3, layout.Tokens, dim);
        var expected = Gradients(DifferentiableBackend.Create(CPU), inputs, weight, layout, expression, CPU);
        using var backend = DifferentiableBackend.Create(CUDA);
        var actual = Gradients(backend, inputs, weight, layout, expression, CUDA);
        for (var i = 0; i < 3; i++)
        {
            Golden.AssertClose(actual[i], expected[i], 0.02);
        }
    }

    [Fact]
    public void Layers_keep_their_own_masks_until_their_backward_pass()
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(4, 32, 32);
        var (q, k, v) = BlockSparseGradientTests.Inputs(1, 2, layout.Tokens, 64, ScalarType.BFloat16);
        using var backend = DifferentiableBackend.Create(CUDA);
        Tensor[] Step(bool between)
        {
            using var inner = NewDisposeScope();
            var leaves = new[] { q, k, v }.Select(x => x.detach().to(CUDA).requires_grad_(true)).ToArray();
            var output = backend.Forward(leaves[0], leaves[1], leaves[2], layout, AttentionExpression.Nabla(0.3), out _);
            if (between)
            {
                // Another mask, and another size: all that the backend holds is overwritten.
                using var noGrad = no_grad();
                backend.Forward(leaves[1].detach(), leaves[0].detach(), v.detach().to(CUDA), layout, AttentionExpression.Nabla(0.05), out _);
                var small = randn([1, 1, 64, 64], ScalarType.BFloat16, CUDA);
                backend.Forward(small, small, small, BlockLayout.Create(1, 8, 8), AttentionExpression.Nabla(0.5), out _);
            }

            output.square().sum().backward();
            return [.. leaves.Select(x => x.grad!.cpu().MoveToOuterDisposeScope())];
        }

        foreach (var (alone, disturbed) in Step(false).Zip(Step(true)))
        {
            Assert.True(alone.eq(disturbed).all().item<bool>());
        }
    }

    [Fact]
    public void Steps_leave_no_tensors_behind()
    {
        RequireDevice();
        var layout = BlockLayout.Create(4, 32, 32);
        using var scope = NewDisposeScope();
        var (q, k, v) = BlockSparseGradientTests.Inputs(1, 2, layout.Tokens, 64, ScalarType.BFloat16);
        using var backend = DifferentiableBackend.Create(CUDA);
        void Step()
        {
            using var inner = NewDisposeScope();
            var leaves = new[] { q, k, v }.Select(x => x.detach().to(CUDA).requires_grad_(true)).ToArray();
            var x = backend.Forward(leaves[0], leaves[1], leaves[2], layout, AttentionExpression.Nabla(0.3), out _);
            backend.Forward(x, leaves[1], leaves[2], layout, AttentionExpression.Nabla(0.3), out _).square().sum().backward();
        }

        long Live()
        {
            cuda.synchronize();
            // What a finalizer frees may hold more that has one.
            for (var i = 0; i < 4; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }

            return Tensor.TotalCount;
        }

        Step();
        var before = Live();
        for (var i = 0; i < 10; i++)
        {
            Step();
        }

        Assert.InRange(Live() - before, long.MinValue, 3);
    }

    [Fact]
    public void A_training_step_reaches_every_weight()
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        var (expected, _) = Step(golden, CPU, ScalarType.Float32, "nabla-1");
        var (rounded, _) = Step(golden, CPU, ScalarType.BFloat16, "nabla-1");
        var (actual, density) = Step(golden, CUDA, ScalarType.BFloat16, "nabla-1");
        Assert.Equal(1, density);
        foreach (var (name, gradient) in expected)
        {
            double Error(Tensor x) => ((x - gradient).norm() / (gradient.norm() + 1e-4)).item<float>();
            Assert.InRange(Error(actual[name]), 0, 2 * Error(rounded[name]) + 0.02);
        }

        Assert.InRange(Step(golden, CUDA, ScalarType.BFloat16, "nabla-0.4").Density, 0.01, 0.9);
    }

    private static (Dictionary<string, Tensor> Gradients, double Density) Step(Golden golden, Device device, ScalarType dtype, string expression)
    {
        var options = new ModuleOptions(device, dtype);
        using var model = golden.Dit(options);
        foreach (var parameter in model.parameters())
        {
            parameter.requires_grad_(true);
        }

        var x = golden["x"];
        var meter = new DensityMeter();
        using var attention = DifferentiableAttention.Create(AttentionExpression.Parse(expression), device, denseSteps: 0, observer: meter);
        using var run = new DitRun(model.Config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], attention, options, new TorchDitOps());
        var output = model.forward(x.unsqueeze(0).to(device), golden["t"].to(device), golden["context"].unsqueeze(0).to(device), run);
        (output - 1).square().mean().backward();
        var gradients = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.grad!.to_type(ScalarType.Float32).cpu());
        return (gradients, meter.Mean!.Value);
    }

    private static Tensor[] Gradients(
        IBlockSparseBackend backend, (Tensor Q, Tensor K, Tensor V) inputs, Tensor weight, BlockLayout layout, string expression, Device device)
    {
        var leaves = new[] { inputs.Q, inputs.K, inputs.V }.Select(x => x.detach().to(device).requires_grad_(true)).ToArray();
        var output = backend.Forward(leaves[0], leaves[1], leaves[2], layout, AttentionExpression.Parse(expression), out _);
        (output * weight.to(device)).sum().backward();
        return [.. leaves.Select(x => x.grad!.cpu())];
    }

    private static void RequireDevice() => Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
}
