using NablaGen.Attention;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using NablaGen.Training.Dit;
using NablaGen.Training.Dit.Ops;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training;

// Alone: these count tensors and collect garbage, and one sets a variable of the environment.
[Collection(nameof(AloneCollection))]
public class CudaTrainingOpsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void The_reference_gives_the_gradients_of_libtorch_through_the_whole_model(int batch)
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        // The references are slow: 2 x 3 x 5 tokens.
        var (expectedOutput, expected) = Step(golden, batch, ModuleOptions.Cpu, new TrainingOps(ScalarType.Float32), (2, 6, 10));
        var (output, gradients) = Step(golden, batch, ModuleOptions.Cpu, Reference(), (2, 6, 10));
        Golden.AssertClose(output, expectedOutput, 1e-5);
        foreach (var (name, gradient) in expected)
        {
            Assert.True(Error(gradients[name], gradient) < 1e-4, $"{name}: {Error(gradients[name], gradient)}");
        }
    }

    [Fact]
    public void Steps_leave_no_tensors_behind()
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        using var model = golden.Dit();
        using var run = new DitRun(model.Config, 1, 4, 4, new DenseAttention(), ModuleOptions.Cpu, Reference());
        var (x, context) = (randn([2, model.Config.InDim, 1, 4, 4]), randn([2, 7, model.Config.TextDim]));
        void Advance()
        {
            using var inner = NewDisposeScope();
            model.forward(x, tensor(new[] { 700f, 20f }), context, run).square().mean().backward();
            model.zero_grad();
        }

        long Live()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return Tensor.TotalCount;
        }

        Train(model);
        Advance();
        var before = Live();
        for (var i = 0; i < 4; i++)
        {
            Advance();
        }

        Assert.InRange(Live() - before, long.MinValue, 3);
    }

    [Fact]
    public void Without_a_gradient_to_compute_none_is_prepared()
    {
        using var scope = NewDisposeScope();
        using var ops = Reference();
        var (x, y) = (randn(2, 5, 16, requires_grad: true), randn(2, 5, 16));
        Assert.True(ops.AddGated(x, y, null).requires_grad);
        Assert.False(ops.AddGated(x.detach(), y, null).requires_grad);
        using var noGrad = no_grad();
        Assert.False(ops.AddGated(x, y, null).requires_grad);
    }

    [Fact]
    public void A_sum_or_a_norm_that_nobody_uses_has_no_part_in_the_gradient()
    {
        using var scope = NewDisposeScope();
        using var ops = Reference();
        var norm = new WanLayerNorm(16, 1e-6, ModuleOptions.Cpu);
        var (weight, modulation) = (randn(2, 5, 16), randn(2, 3, 16, requires_grad: true));
        foreach (var useSum in new[] { true, false })
        {
            Tensor[] Gradients(IDitOps by)
            {
                random.manual_seed(5);
                var (x, y) = (randn(2, 5, 16, requires_grad: true), randn(2, 5, 16, requires_grad: true));
                var m = modulation.chunk(3, 1);
                var (sum, normalized) = by.AddGatedAndNormalize(x, y, m[0], norm, m[1], m[2]);
                return [.. autograd.grad([((useSum ? sum : normalized) * weight).sum()], [x, y, modulation])];
            }

            using var plain = new TorchDitOps();
            foreach (var (mine, theirs) in Gradients(ops).Zip(Gradients(plain)))
            {
                Golden.AssertClose(mine, theirs, 1e-5);
            }
        }
    }

    [Fact]
    public void The_environment_may_ask_for_libtorch()
    {
        var before = Environment.GetEnvironmentVariable(DitTrainingOps.Variable);
        try
        {
            var config = Toys.Sizes().Dit;
            Environment.SetEnvironmentVariable(DitTrainingOps.Variable, "libtorch");
            Create(config).Dispose();
            Environment.SetEnvironmentVariable(DitTrainingOps.Variable, "cuda");
            Assert.Contains("expected kernels or libtorch", Assert.Throws<NablaGenException>(() => Create(config)).Message);
            Environment.SetEnvironmentVariable(DitTrainingOps.Variable, null);
            Create(config).Dispose();
        }
        finally
        {
            Environment.SetEnvironmentVariable(DitTrainingOps.Variable, before);
        }

        static IDitOps Create(DitConfig config)
        {
            var ops = DitTrainingOps.Create(config, ModuleOptions.Cpu);
            Assert.IsType<TrainingOps>(ops);
            return ops;
        }
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(1, ScalarType.BFloat16)]
    [InlineData(3, ScalarType.BFloat16)]
    [InlineData(2, ScalarType.Float16)]
    public void On_CUDA_a_step_agrees_with_that_of_libtorch(int batch, ScalarType dtype)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        var options = new ModuleOptions(CUDA, dtype);
        var (exactOutput, exact) = Step(golden, batch, ModuleOptions.Cpu, new TrainingOps(ScalarType.Float32), Latent);
        var (plainOutput, plain) = Step(golden, batch, options, new TrainingOps(dtype), Latent);
        var (output, gradients) = Step(golden, batch, options, new CudaTrainingOps(CUDA, dtype), Latent);
        Assert.InRange(Error(output, exactOutput), 0, (1.25 * Error(plainOutput, exactOutput)) + 1e-3);
        foreach (var (name, gradient) in exact)
        {
            var (mine, theirs) = (Error(gradients[name], gradient), Error(plain[name], gradient));
            Assert.True(mine <= 1.25 * theirs + 0.005, $"{name}: {mine} from the exact gradient, libtorch's passes {theirs}");
        }
    }

    [Fact, Trait("gpu", "true")]
    public void On_CUDA_a_step_has_the_same_bits_each_time()
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        var (norm, modulation) = (new WanLayerNorm(256, 1e-6, new ModuleOptions(CUDA, ScalarType.BFloat16)), randn([3, 3, 256], device: CUDA, requires_grad: true));
        var (x, y) = (randn([3, 1280, 256], device: CUDA, requires_grad: true), randn([3, 1280, 256], ScalarType.BFloat16, CUDA, requires_grad: true));
        using var ops = new CudaTrainingOps(CUDA, ScalarType.BFloat16);
        Tensor[] Gradients()
        {
            var m = modulation.chunk(3, 1);
            var (sum, normalized) = ops.AddGatedAndNormalize(x, y, m[0], norm, m[1], m[2]);
            return [.. autograd.grad([sum.square().sum() + normalized.to_type(ScalarType.Float32).pow(3).sum()], [x, y, modulation])];
        }

        foreach (var (first, second) in Gradients().Zip(Gradients()))
        {
            Assert.True(first.equal(second).all().item<bool>());
        }
    }

    private static (int T, int H, int W) Latent => (3, 18, 20);

    private static CudaTrainingOps Reference() => new(new ReferenceOpKernels(), ScalarType.Float32);

    private static double Error(Tensor actual, Tensor expected) => ((actual - expected).norm() / (expected.norm() + 1e-3)).item<float>();

    private static void Train(nn.Module model)
    {
        foreach (var parameter in model.parameters())
        {
            parameter.requires_grad_(true);
        }
    }

    // The passes are the run's, which disposes of them.
    private static (Tensor Output, Dictionary<string, Tensor> Gradients) Step(Golden golden, int batch, ModuleOptions options, IDitOps ops, (int T, int H, int W) latent)
    {
        using var model = golden.Dit(options);
        Train(model);
        random.manual_seed(3);
        var (x, context) = (randn([batch, model.Config.InDim, latent.T, latent.H, latent.W]), randn([batch, 7, model.Config.TextDim]));
        var t = tensor(Enumerable.Range(0, batch).Select(i => 700f - 300 * i).ToArray());
        using var run = new DitRun(model.Config, latent.T, latent.H, latent.W, new DenseAttention(), options, ops);
        var output = model.forward(x.to(options.Device), t.to(options.Device), context.to(options.Device), run);
        // Large enough that no half underflows.
        ((output - 1).square().mean() * 1000).backward();
        var gradients = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.grad!.to_type(ScalarType.Float32).cpu());
        return (output.detach().cpu(), gradients);
    }
}
