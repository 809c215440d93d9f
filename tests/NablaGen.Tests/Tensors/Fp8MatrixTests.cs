using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using NablaGen.Tests.Cuda;
using NablaGen.Tests.Weights;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Tensors;

/// <summary>Matrices in fp8 on the CPU: the rules that the kernels are held to.</summary>
public sealed class Fp8MatrixTests : IDisposable
{
    private static readonly ModuleOptions Options = ModuleOptions.Cpu with { MatrixFormat = MatrixFormats.Fp8 };

    private readonly DisposeScope _scope = NewDisposeScope();

    [Fact]
    public void Rows_are_rounded_as_the_format_says()
    {
        var x = Rows(9, 48, seed: 1);
        x[4].zero_();
        var (codes, scales) = Fp8Rows.Quantize(x);
        Assert.Equal((ScalarType.Byte, ScalarType.Float32), (codes.dtype, scales!.dtype));
        Assert.Equal(9, scales.NumberOfElements);
        var (bytes, factors, values) = (codes.data<byte>().ToArray(), scales.data<float>().ToArray(), x.data<float>().ToArray());
        Assert.Equal(1, factors[4]);
        for (var i = 0; i < values.Length; i++)
        {
            var row = i / 48;
            var most = values.AsSpan(row * 48, 48).ToArray().Max(Math.Abs);
            Assert.Equal(most > 0 ? most / 448f : 1, factors[row]);
            var exact = values[i] * (most > 0 ? 448f / most : 1);
            Assert.Equal(ReferenceEightBits.RoundFp8(exact), ReferenceEightBits.Decode(bytes[i]));
            Assert.Equal((float)ReferenceEightBits.Decode(bytes[i]), E4M3.Values[bytes[i]]);
        }

        Assert.InRange(Golden.RelativeError(Fp8Rows.Decode(codes, scales), x), 0.015, 0.03);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.NegativeInfinity)]
    public void What_is_not_finite_shows_in_the_scale_and_the_product(float bad)
    {
        var x = Rows(3, 32, seed: 2);
        x[1, 7] = bad;
        Assert.Equal([true, false, true], Fp8Rows.Quantize(x).RowScales!.isfinite().data<bool>().ToArray());
        using var layer = Filled(32, 16, seed: 3);
        Assert.Equal([false, true, false], layer.forward(x).isnan().any(1).data<bool>().ToArray());
    }

    [Fact]
    public void Rows_too_small_for_a_factor_count_as_zeros()
    {
        var (codes, scales) = Fp8Rows.Quantize(full([1, 16], 1e-37f));
        Assert.Equal(1, scales!.item<float>());
        Assert.All(codes.data<byte>().ToArray(), code => Assert.Equal(0, code));
    }

    [Theory]
    [InlineData(48, 80, 7)]
    [InlineData(256, 16, 1)]
    public void A_product_is_within_five_percent_and_that_of_the_rounded_numbers(int inputs, int outputs, int rows)
    {
        var exact = Rows(outputs, inputs, seed: 4);
        var bias = randn(outputs);
        using var matrix = new Fp8Matrix(inputs, outputs, Options);
        matrix.Load(new Numbers(exact));
        Assert.Equal((outputs, inputs, outputs * (inputs + 4L)), (matrix.Outputs, matrix.Inputs, matrix.Bytes));
        var x = Rows(rows, inputs, seed: 5);
        var quantised = Fp8Rows.Quantize(x);
        var y = matrix.Multiply(x, bias);
        Assert.True(y.eq(matrix.Multiply(quantised, bias)).all().item<bool>());
        var rounded = nn.functional.linear(
            Fp8Rows.Decode(quantised.Values, quantised.RowScales!).to_type(ScalarType.Float64), Fp8Rows.Decode(matrix.Codes, matrix.Scales).to_type(ScalarType.Float64),
            bias.to_type(ScalarType.Float64));
        Assert.InRange(Golden.RelativeError(y, rounded), 0, 1e-6);
        Assert.InRange(Golden.RelativeError(y, nn.functional.linear(x, exact, bias)), 0.005, 0.05);
    }

    [Fact]
    public void A_layer_of_odd_sides_stays_dense_and_a_checkpoint_sees_the_same_names()
    {
        using var fp8 = new AutocastLinear(48, 32, Options);
        using var dense = new AutocastLinear(48, 24, Options);
        Assert.IsType<Fp8Matrix>(fp8.Matrix);
        Assert.IsType<DenseMatrix>(dense.Matrix);
        Assert.Equal(["bias", "weight"], fp8.Shapes().Keys.Order());
        Assert.Equal([32L, 48], fp8.Shapes()["weight"]);
        Assert.Equal(["bias", "weight"], dense.Shapes().Keys.Order());
    }

    [Theory]
    [InlineData("[1]", 1)]
    [InlineData("[32, 1]", 32)]
    public void A_files_own_codes_and_scales_are_taken_over(string shape, int scales)
    {
        using var raw = new RawFile();
        var codes = Enumerable.Range(0, 32 * 16).Select(i => (byte)(i * 37 % 0x7F | i % 2 * 0x80)).ToArray();
        var factors = Enumerable.Range(0, scales).Select(i => 0.01f * (i + 1)).ToArray();
        using var source = Open(raw, codes, $$""","l.weight_scale":{"dtype":"F32","shape":{{shape}},"data_offsets":[512,{{512 + 4 * scales}}]}""", factors);
        using var model = new Holder();
        CheckpointLoader.Load(source, model);
        var matrix = Assert.IsType<Fp8Matrix>(model.Layer.Matrix);
        Assert.Equal(codes, matrix.Codes.data<byte>().ToArray());
        Assert.Equal(Enumerable.Range(0, 32).Select(row => factors[Math.Min(row, scales - 1)]), matrix.Scales.data<float>().ToArray());
        // The same numbers as a plain matrix has of that file.
        Assert.True(source.Read("l.weight").eq(Fp8Rows.Decode(matrix.Codes, matrix.Scales)).all().item<bool>());
    }

    [Fact]
    public void Weights_that_are_not_numbers_are_named()
    {
        using var raw = new RawFile();
        var values = new float[32 * 16];
        values[77] = float.NaN;
        var bytes = new byte[4 * values.Length];
        Buffer.BlockCopy(values, 0, bytes, 0, bytes.Length);
        using var source = TensorSources.Open(raw.Write("nan.safetensors", RawFile.Bytes("""{"l.weight":{"dtype":"F32","shape":[32,16],"data_offsets":[0,2048]}}""", bytes)));
        using var model = new Holder();
        RawFile.Fault(() => CheckpointLoader.Load(source, model), "nan.safetensors", "l.weight", "contains NaN or infinity", "--precision bf16");
    }

    public void Dispose() => _scope.Dispose();

    private static ITensorSource Open(RawFile raw, byte[] codes, string more, float[] factors)
    {
        var scales = new byte[4 * factors.Length];
        Buffer.BlockCopy(factors, 0, scales, 0, scales.Length);
        var path = raw.Write(
            "scaled.safetensors", RawFile.Bytes($$"""{"l.weight":{"dtype":"F8_E4M3","shape":[32,16],"data_offsets":[0,512]}{{more}}}""", [.. codes, .. scales]));
        return ScaledSource.Over(SafetensorsFile.Open(path));
    }

    // Rows of different size.
    private static Tensor Rows(int rows, int columns, ulong seed)
    {
        using var generator = new Generator(seed);
        return randn([rows, columns], generator: generator).mul(pow(tensor(2f), TensorArithmetic.Range(rows, CPU, ScalarType.Float32).remainder(tensor(5f)).unsqueeze(1)));
    }

    private static AutocastLinear Filled(int inputs, int outputs, ulong seed)
    {
        var layer = new AutocastLinear(inputs, outputs, Options);
        layer.Matrix.Load(new Numbers(Rows(outputs, inputs, seed)));
        layer.Bias!.zero_();
        return layer;
    }

    private sealed class Holder : nn.Module
    {
        public AutocastLinear Layer { get; } = new(16, 32, Options, bias: false);

        public Holder()
            : base(nameof(Holder)) => register_module("l", Layer);
    }

    private sealed class Numbers(Tensor values) : IMatrixValues
    {
        public string Name => "numbers";

        public StoredNumbers? Stored => null;

        public void CopyTo(Tensor target) => target.copy_(values);
    }
}
