using NablaGen.Attention;
using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Fused;
using NablaGen.Generation;
using NablaGen.Models;
using NablaGen.Models.Streaming;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;
using NablaGen.Tests.Cuda;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

/// <summary>fp8 on a CUDA device against the rules on the CPU: rows, norms, products, whole passes; and attention in eight bits as a model reaches it.</summary>
[Trait("gpu", "true")]
[Collection(nameof(AloneCollection))]
public class CudaFp8Tests
{
    private static readonly TransformerFormats Fp8 = TransformerFormats.Plain with { Matrices = MatrixFormats.Fp8 };
    private static readonly ModuleOptions Plain = new(CUDA, ScalarType.BFloat16);
    private static readonly ModuleOptions Options = Fp8.Over(Plain);

    [Theory]
    [InlineData(1, 16, ScalarType.Float32, false)]
    [InlineData(3, 48, ScalarType.BFloat16, false)]
    [InlineData(67, 5120, ScalarType.Float32, false)]
    [InlineData(5, 13_824, ScalarType.Float32, false)]
    [InlineData(3, 48, ScalarType.BFloat16, true)]
    [InlineData(67, 8960, ScalarType.BFloat16, true)]
    [InlineData(9, 13_824, ScalarType.BFloat16, true)]
    public void Rows_are_those_of_the_cpu(int rows, int columns, ScalarType type, bool gelu)
    {
        RequireFp8();
        using var scope = NewDisposeScope();
        var x = randn([rows, columns]).mul(4.0).to_type(type);
        var (codes, scales) = (empty([rows, columns], ScalarType.Byte, CUDA), empty([rows], ScalarType.Float32, CUDA));
        Fp8Kernels.Of(CUDA).Quantize(x.to(CUDA), codes, scales, gelu);
        var exact = x.to_type(ScalarType.Float32);
        AssertSameRows(codes, scales, gelu ? nn.functional.gelu(exact, TorchSharp.Modules.GELU.Approximate.tanh) : exact);
    }

    [Theory]
    [InlineData(8, 1, true)]
    [InlineData(136, 33, false)]
    [InlineData(1536, 7, true)]
    [InlineData(5120, 5, true)]
    [InlineData(5120, 4, false)]
    public void Norms_write_the_rows_of_the_cpu(int columns, int rows, bool affine)
    {
        var device = RequireFp8();
        using var scope = NewDisposeScope();
        var at = new KernelAddress(CUDA);
        Tensor Floats(params long[] shape) => randn(shape, device: CUDA);
        var (x, gate) = (Floats(rows, columns).mul(3.0), Floats(columns));
        var branch = Floats(rows, columns).to_type(ScalarType.BFloat16);
        var (weight, bias) = (Floats(columns), Floats(columns));
        var sum = x + branch.to_type(ScalarType.Float32) * gate;
        Tensor Norm(Tensor input)
        {
            var n = nn.functional.layer_norm(input, [columns], null, null, 1e-6);
            return affine ? n * weight + bias : n * (weight + 1.0) + bias;
        }

        var (codes, scales) = (empty([rows, columns], ScalarType.Byte, CUDA), empty([rows], ScalarType.Float32, CUDA));
        nint At(Tensor tensor) => at.Of(tensor, tensor.dtype, "a test's tensor");
        nint If(bool isWanted, Tensor tensor) => isWanted ? At(tensor) : 0;
        new LayerNormModulate(device).Run(
            At(x), At(codes), ElementType.BFloat16, rows, columns, 1e-6f, If(affine, weight), If(affine, bias), scale: If(!affine, weight), shift: If(!affine, bias),
            rowScales: At(scales));
        AssertSameRows(codes, scales, Norm(x).cpu());

        new GateResidualNorm(device).Run(
            At(x), At(branch), At(codes), ElementType.BFloat16, rows, columns, 1e-6f, At(gate), If(affine, weight), If(affine, bias), If(!affine, weight), If(!affine, bias),
            rowScales: At(scales));
        AssertSameRows(codes, scales, Norm(sum).cpu());
        Assert.InRange(Golden.RelativeError(x, sum), 0, 1e-6);
    }

    [Theory]
    [InlineData(1, 16, 16)]
    [InlineData(77, 1536, 256)]
    [InlineData(130, 5120, 5120)]
    [InlineData(512, 8960, 1536)]
    public void A_product_is_that_of_the_cpu(int rows, int inputs, int outputs)
    {
        RequireFp8();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (x, weight, bias) = (randn([2, rows, inputs]).to_type(ScalarType.BFloat16), randn([outputs, inputs]), randn(outputs).to_type(ScalarType.BFloat16));
        using var onCpu = new Fp8Matrix(inputs, outputs, Options with { Device = CPU, Dtype = ScalarType.Float32 });
        using var onCuda = new Fp8Matrix(inputs, outputs, Options);
        onCpu.Load(new Numbers(weight));
        onCuda.Load(new Numbers(weight));
        Assert.True(onCuda.Codes.cpu().eq(onCpu.Codes).to_type(ScalarType.Float32).mean().item<float>() > 0.9999f);
        var expected = onCpu.Multiply(x, bias);
        var actual = onCuda.Multiply(x.to(CUDA), bias.to(CUDA));
        Assert.Equal((ScalarType.BFloat16, expected.shape.Length), (actual.dtype, actual.shape.Length));
        Assert.InRange(Golden.RelativeError(actual.cpu(), expected), 0, 0.01);
    }

    [Theory]
    [InlineData("dense", false)]
    [InlineData("nabla-0.7", false)]
    [InlineData("dense", true)]
    [InlineData("nabla-0.7", true)]
    public void The_golden_transformers_error_is_the_cpus(string expression, bool eightBitAttention)
    {
        RequireFp8();
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        var x = golden["x"];
        var formats = Fp8 with { EightBitAttention = eightBitAttention };
        var exact = Forward(golden, x, expression, ModuleOptions.Cpu);
        var onCuda = Golden.RelativeError(Forward(golden, x, expression, formats.Over(Plain)), exact);
        var onCpu = Golden.RelativeError(Forward(golden, x, expression, Fp8.Over(ModuleOptions.Cpu)), exact);
        var bf16 = Golden.RelativeError(Forward(golden, x, expression, Plain), exact);
        TestContext.Current.TestOutputHelper!.WriteLine($"{expression}, attention in {(eightBitAttention ? 8 : 16)} bits: fp8 on CUDA {onCuda:0.0000}, on the CPU {onCpu:0.0000}; bf16 {bf16:0.0000}");
        Assert.InRange(onCuda, 0.001, 1.5 * onCpu + 0.01);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(2, false)]
    [InlineData(0, true)]
    [InlineData(1, true)]
    public void Streamed_layers_compute_the_same_bits(int resident, bool hasPlainEnds)
    {
        RequireFp8();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open("dit");
        var config = DitConfig.Wan1_3B with { NumLayers = 4, TextDim = 64, TextLen = 32 };
        using var random = new Weightless(config);
        var options = Options with { HasPlainEnds = hasPlainEnds };
        using var whole = new WanModel(config, options);
        CheckpointLoader.Copy(random, whole);
        using var streamed = new WanModel(config, options, WanLayers.Stream(
            config, options, new LayerPlacement(resident, 2), (number, layer) => CheckpointLoader.Copy(random.Under(WanModel.LayerPrefix(number)), layer)));
        CheckpointLoader.Copy(random, streamed);
        for (var pass = 0; pass < 3; pass++)
        {
            var expected = Pass(whole, pass);
            Assert.True(expected.isfinite().all().item<bool>());
            // Weights of the host's layers are rounded on the CPU, and a quotient between two codes may fall to either side.
            Assert.InRange(Golden.RelativeError(Pass(streamed, pass), expected), 0, 0.002);
        }
    }

    [Theory]
    [InlineData("dense", 128)]
    [InlineData("nabla-0.5", 128)]
    [InlineData("sta-3-3-3", 128)]
    [InlineData("nabla-0.5", 64)]
    public void Attention_in_eight_bits_is_chosen_where_there_are_kernels(string expression, int dim)
    {
        Gpu.EightBitKernels(Gpu.Require());
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var layout = BlockLayout.Create(5, 37, 40);
        Tensor Random() => randn([1, layout.Tokens, 3, dim], device: CUDA).to_type(ScalarType.BFloat16).transpose(1, 2);
        var (q, k, v) = (Random(), Random(), Random());
        using var sixteen = AttentionFactory.Create(AttentionExpression.Parse(expression), CUDA, denseSteps: 0);
        using var eight = AttentionFactory.Create(AttentionExpression.Parse(expression), CUDA, denseSteps: 0, eightBits: true);
        var error = Golden.RelativeError(eight.Forward(q, k, v, layout, default), sixteen.Forward(q, k, v, layout, default));
        TestContext.Current.TestOutputHelper!.WriteLine($"{expression}, heads of {dim}: {error:0.0000}");
        Assert.InRange(error, dim == 128 ? 0.01 : 0, dim == 128 ? 0.05 : 0);
    }

    [Fact]
    public void The_options_choose_them()
    {
        RequireFp8();
        var formats = PrecisionChoice.Resolve("fp8", "eight", DitConfig.Wan14B.Traits, CUDA, ScalarType.BFloat16);
        Assert.Equal((MatrixFormats.Fp8, true, 0), (formats.Matrices, formats.EightBitAttention, formats.Notes.Count));
    }

    private static void AssertSameRows(Tensor codes, Tensor scales, Tensor exact)
    {
        var (expectedCodes, expectedScales) = Fp8Rows.Quantize(exact);
        var (actualCodes, actualScales) = (codes.cpu(), scales.cpu());
        Assert.InRange(Golden.RelativeError(actualScales, expectedScales!), 0, 1e-5);
        Assert.InRange(actualCodes.eq(expectedCodes).to_type(ScalarType.Float32).mean().item<float>(), 0.99f, 1);
        Assert.InRange(Golden.RelativeError(Fp8Rows.Decode(actualCodes, actualScales), exact), 0, 0.032);
    }

    private static Tensor Forward(Golden golden, Tensor x, string expression, ModuleOptions options)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = golden.Dit(options);
        using var attention = AttentionFactory.Create(AttentionExpression.Parse(expression), options.Device, denseSteps: 0, eightBits: options.EightBitAttention);
        using var run = new DitRun(model.Config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], attention, options);
        Assert.Equal(options.Device.type == TorchSharp.DeviceType.CUDA, run.Ops is CudaDitOps);
        return model.forward(x.unsqueeze(0).to(options.Device), golden["t"].to(options.Device), golden["context"].unsqueeze(0).to(options.Device), run)
            .squeeze(0).cpu().MoveToOuterDisposeScope();
    }

    private static Tensor Pass(WanModel model, int seed)
    {
        using var scope = NewDisposeScope();
        using var attention = AttentionFactory.Create(AttentionExpression.Dense, CUDA);
        using var run = new DitRun(model.Config, 2, 32, 32, attention, Options);
        using var generator = new Generator((ulong)seed);
        var (x, context) = (randn([1, 16, 2, 32, 32], generator: generator), randn([1, 9, 64], generator: generator));
        return model.forward(x.to(CUDA), tensor(new[] { 500L }).to(CUDA), context.to(CUDA), run).cpu().MoveToOuterDisposeScope();
    }

    private static NablaGen.Cuda.Device.CudaDevice RequireFp8()
    {
        var device = Gpu.Require(AttentionKernel.Hopper);
        var reason = Fp8Kernels.WhyNot(CUDA);
        Assert.SkipUnless(reason is null, reason ?? "");
        return device;
    }

    // Small random weights, the same for each reading of a name.
    private sealed class Weightless(DitConfig config) : ITensorSource
    {
        public string Path => "random weights";

        public IReadOnlyList<string> Files => [];

        public IReadOnlyDictionary<string, TensorEntry> Entries { get; } = Shapes(config).ToDictionary(
            pair => pair.Key, pair => new TensorEntry(pair.Key, StoredType.F32, pair.Value, 0, 0), StringComparer.Ordinal);

        public string FileOf(string name) => Path;

        public Tensor Read(string name)
        {
            using var generator = new Generator((ulong)name.Sum(letter => (long)letter * 131));
            return randn(Entries[name].Shape, generator: generator).mul(0.02);
        }

        public void CopyTo(string name, Tensor target)
        {
            using var values = Read(name);
            target.copy_(values);
        }

        public void Dispose()
        {
        }

        private static IReadOnlyDictionary<string, long[]> Shapes(DitConfig config)
        {
            using var model = new WanModel(config, ModuleOptions.Meta);
            return model.Shapes();
        }
    }

    private sealed class Numbers(Tensor values) : IMatrixValues
    {
        public string Name => "numbers";

        public StoredNumbers? Stored => null;

        public void CopyTo(Tensor target) => target.copy_(values);
    }
}
