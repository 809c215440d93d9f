using NablaGen.Cuda.Fused;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using NablaGen.Tests.Weights;
using NablaGen.Weights;
using NablaGen.Weights.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Tensors;

/// <summary>Matrices that stay as a file has them: expanded to ggml's own bits, on the CPU and by the kernel.</summary>
public sealed class StoredMatrixTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    /// <summary>The formats of which the golden has rows.</summary>
    public static TheoryData<string> Formats() => new(ExpandNumbers.Formats.Where(format => !format.StartsWith("F8", StringComparison.Ordinal)));

    [Fact]
    public void There_is_a_kernel_for_each_type_that_can_be_read()
    {
        var quantised = Enumerable.Range(0, 64).Select(id => GgufType.Find((uint)id)).Where(type => type?.Expand is not null).Select(type => type!.Name);
        Assert.Equal(quantised.Order(), Formats().Select(row => row.Data).Order());
        foreach (var type in Enumerable.Range(0, 64).Select(id => GgufType.Find((uint)id)).Where(type => type?.Expand is not null))
        {
            Assert.True(ExpandNumbers.Fits(type!.Name, type.Elements) && !ExpandNumbers.Fits(type.Name, type.Elements + 8));
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Rows_of_ggml_are_expanded_bit_for_bit(string format)
    {
        var (matrix, values, bytes) = Open(format, ModuleOptions.Cpu);
        using (matrix)
        {
            Assert.Equal((format, bytes), (matrix.Format, matrix.Bytes));
            Assert.True(matrix.Expand().eq(values).all().item<bool>());
            var x = randn(3, 512);
            Assert.True(matrix.Multiply(x, null).eq(nn.functional.linear(x, values)).all().item<bool>());
        }
    }

    [Theory, Trait("gpu", "true")]
    [MemberData(nameof(Formats))]
    public void The_kernel_expands_to_the_cpus_numbers_rounded_once(string format)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        foreach (var type in new[] { ScalarType.BFloat16, ScalarType.Float16 })
        {
            var (matrix, values, _) = Open(format, new ModuleOptions(CUDA, type));
            using (matrix)
            {
                Assert.True(matrix.Expand().cpu().eq(values.to_type(type)).all().item<bool>());
            }
        }
    }

    [Theory, Trait("gpu", "true")]
    [InlineData("F8_E4M3", 0)]
    [InlineData("F8_E4M3", 1)]
    [InlineData("F8_E4M3", 48)]
    [InlineData("F8_E5M2", 48)]
    public void The_kernel_expands_the_8_bit_floats(string format, int scales)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var raw = new RawFile();
        using var source = Open8(raw, format, scales);
        using var onCpu = new StoredMatrix(40, 48, new ModuleOptions(CPU, ScalarType.BFloat16));
        using var onCuda = new StoredMatrix(40, 48, new ModuleOptions(CUDA, ScalarType.BFloat16));
        onCpu.Load(new Values(source));
        onCuda.Load(new Values(source));
        Assert.True(onCuda.Expand().cpu().eq(onCpu.Expand()).all().item<bool>());
    }

    [Theory]
    [InlineData("F8_E4M3", 0)]
    [InlineData("F8_E4M3", 1)]
    [InlineData("F8_E4M3", 48)]
    [InlineData("F8_E5M2", 48)]
    public void The_8_bit_floats_are_what_a_read_gives(string format, int scales)
    {
        using var raw = new RawFile();
        using var source = Open8(raw, format, scales);
        foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            using var matrix = new StoredMatrix(40, 48, new ModuleOptions(CPU, type));
            matrix.Load(new Values(source));
            Assert.Equal(format, matrix.Format);
            var expected = empty([48, 40], type);
            source.CopyTo("l.weight", expected);
            Assert.True(matrix.Expand().eq(expected).all().item<bool>());
            Assert.Equal(48 * 40 + 4 * scales, matrix.Bytes);
        }
    }

    [Fact]
    public void Plain_numbers_and_rows_that_do_not_fit_are_plain()
    {
        using var raw = new RawFile();
        using var source = Open8(raw, "F8_E4M3", 1);
        using var matrix = new StoredMatrix(40, 48, ModuleOptions.Cpu);
        matrix.Load(new Plain(source));
        Assert.Null(matrix.Format);
        Assert.Equal(4 * 48 * 40, matrix.Bytes);
        Assert.True(matrix.Expand().eq(source.Read("l.weight")).all().item<bool>());
        Assert.False(StoredMatrix.Keeps(new StoredNumbers("F8_E4M3", 0, _ => { }, (_, _) => { }), 36));
        Assert.False(StoredMatrix.Keeps(new StoredNumbers("NVFP4", 0, _ => { }, (_, _) => { }), 64));
    }

    [Fact]
    public void A_layer_frees_what_it_read()
    {
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var raw = new RawFile())
        using (var source = Open8(raw, "F8_E4M3", 48))
        using (var layer = new AutocastLinear(40, 48, ModuleOptions.Cpu with { MatrixFormat = MatrixFormats.Stored }, bias: false))
        {
            Assert.Equal(["weight"], layer.Shapes().Keys);
            layer.Matrix.Load(new Values(source));
            layer.Matrix.Load(new Values(source));
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    public void Dispose() => _scope.Dispose();

    private static (StoredMatrix Matrix, Tensor Values, long Bytes) Open(string format, ModuleOptions options)
    {
        using var blocks = SafetensorsFile.Open(Path.Combine(GoldenFolder.Path, "checkpoints", "gguf-blocks.safetensors"));
        var (values, bytes) = (blocks.Read(format + ".values"), blocks.Read(format + ".bytes").data<byte>().ToArray());
        using var raw = new RawFile();
        var file = new GgufBytes().Key("general.architecture", "wan").Tensor("l.weight", GgufBytes.Type(format), values.shape, bytes);
        using var source = GgufFile.Open(raw.Write("rows.gguf", file.ToArray()));
        var matrix = new StoredMatrix(values.shape[1], values.shape[0], options);
        matrix.Load(new Values(source));
        return (matrix, values, bytes.Length);
    }

    private static ITensorSource Open8(RawFile raw, string format, int scales)
    {
        // Every code that is a finite number in both formats.
        var codes = Enumerable.Range(0, 48 * 40).Select(i => (byte)(i * 37 % 0x7B | (i % 2 << 7))).ToArray();
        var factors = new byte[4 * scales];
        Buffer.BlockCopy(Enumerable.Range(0, scales).Select(i => 0.003f * (i + 1)).ToArray(), 0, factors, 0, factors.Length);
        var more = scales == 0 ? "" : $$""","l.weight_scale":{"dtype":"F32","shape":[{{scales}}],"data_offsets":[1920,{{1920 + factors.Length}}]}""";
        return ScaledSource.Over(SafetensorsFile.Open(raw.Write(
            "rows.safetensors", RawFile.Bytes($$"""{"l.weight":{"dtype":"{{format}}","shape":[48,40],"data_offsets":[0,1920]}{{more}}}""", [.. codes, .. factors]))));
    }

    private sealed class Values(ITensorSource source) : IMatrixValues
    {
        public string Name => "l.weight";

        public StoredNumbers? Stored => source.FindStored(Name);

        public void CopyTo(Tensor target) => source.CopyTo(Name, target);
    }

    // As of a tensor that a LoRA changed.
    private sealed class Plain(ITensorSource source) : IMatrixValues
    {
        public string Name => "l.weight";

        public StoredNumbers? Stored => null;

        public void CopyTo(Tensor target) => source.CopyTo(Name, target);
    }
}
