using NablaGen.Generation;
using NablaGen.Models;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Tests.Generation;

public class PrecisionChoiceTests
{
    private static readonly TransformerTraits Traits = DitConfig.Wan1_3B.Traits;

    [Theory]
    [InlineData("auto", "auto")]
    [InlineData("bf16", "bf16")]
    [InlineData("auto", "bf16")]
    public void Sixteen_bits_are_the_default_everywhere(string products, string attention)
    {
        Assert.Equal(TransformerFormats.Plain with { Notes = [] }, PrecisionChoice.Resolve(products, attention, Traits, CPU, ScalarType.Float32) with { Notes = [] });
        Assert.Equal(MatrixFormats.Dense, PrecisionChoice.Resolve(products, attention, Traits, new Device("cuda"), ScalarType.BFloat16).Matrices);
    }

    [Theory]
    [InlineData("fp8", "auto", "cpu", "--precision fp8 needs an NVIDIA GPU, and this runs on the CPU: leave it out")]
    [InlineData("auto", "eight", "cpu", "--attention-precision eight needs an NVIDIA GPU, and this runs on the CPU: leave it out")]
    [InlineData("fp8", "auto", "cuda", "--precision fp8 goes with --dtype bfloat16, found float32: give one of them")]
    [InlineData("fp4", "auto", "cuda", "--precision 'fp4' is not known: use auto, bf16, fp8 or fp8-inner")]
    [InlineData("fp8-inner", "auto", "cpu", "--precision fp8-inner needs an NVIDIA GPU, and this runs on the CPU: leave it out")]
    [InlineData("auto", "int8", "cuda", "--attention-precision 'int8' is not known: use auto, bf16 or eight")]
    public void What_has_no_effect_is_refused(string products, string attention, string device, string expected) => Assert.Equal(
        expected, Assert.Throws<InvalidRequestException>(() => PrecisionChoice.Resolve(products, attention, Traits, new Device(device), ScalarType.Float32)).Message);

    [Fact]
    public void A_transformer_that_is_all_ends_has_no_layers_between()
    {
        var error = Assert.Throws<InvalidRequestException>(
            () => PrecisionChoice.Resolve("fp8-inner", "auto", Traits with { Layers = 2 }, new Device("cuda"), ScalarType.BFloat16));
        Assert.Equal("--precision fp8-inner has no effect on a transformer of 2 layers, which has none between the first and the last: use fp8", error.Message);
    }

    [Fact]
    public void Heads_without_a_kernel_are_done_in_sixteen_bits_and_a_note_says_so()
    {
        var narrow = Traits with { HeadDim = 64 };
        var formats = PrecisionChoice.Resolve("auto", "eight", narrow, new Device("cuda"), ScalarType.BFloat16);
        Assert.False(formats.EightBitAttention);
        Assert.Equal("--attention-precision eight is done in bfloat16: it has kernels for heads of 128 channels, and this model's have 64", Assert.Single(formats.Notes));
    }

    [Fact]
    public void A_recipe_names_what_is_not_in_sixteen_bits()
    {
        var request = new GenerationRequest { Prompt = "a ball", NegativePrompt = "", DenseSteps = 0, Attention = NablaGen.Attention.AttentionExpression.Dense, Width = 64, Height = 64, Frames = 5, Fps = 8, Steps = 2, Solver = "euler", Shift = 3, Guidance = 1, Seed = 1 };
        var plain = Recipe.Of(request, "m", "h", "cuda", "bfloat16", TransformerFormats.Plain);
        var eight = Recipe.Of(request, "m", "h", "cuda", "bfloat16", TransformerFormats.Plain with { Matrices = MatrixFormats.Fp8, EightBitAttention = true });
        Assert.DoesNotContain("precision", plain.ToJson(), StringComparison.Ordinal);
        Assert.Equal(("fp8", "eight"), (Recipe.Parse(eight.ToJson(), "r").Precision, Recipe.Parse(eight.ToJson(), "r").AttentionPrecision));
        Assert.Equal(plain, Recipe.Parse(plain.ToJson(), "r"));
        var inner = Recipe.Of(request, "m", "h", "cuda", "bfloat16", TransformerFormats.Plain with { Matrices = MatrixFormats.Fp8, HasPlainEnds = true });
        Assert.Equal("fp8-inner", Recipe.Parse(inner.ToJson(), "r").Precision);
        Assert.Contains("bfloat16, products in fp8, attention in eight bits on cuda", $"{eight}", StringComparison.Ordinal);
        Assert.NotEqual(plain, eight);
    }

    [Fact]
    public void Numbers_that_went_wrong_are_told_with_what_to_try()
    {
        var fp8 = TransformerFormats.Plain with { Matrices = MatrixFormats.Fp8 };
        Assert.Equal(("", "--dtype float32"), Words(TransformerFormats.Plain));
        Assert.Equal((" with products in fp8", "--precision bf16"), Words(fp8));
        Assert.Equal((" with products in fp8 with attention in eight bits", "--precision bf16"), Words(fp8 with { EightBitAttention = true }));
        Assert.Equal((" with attention in eight bits", "--attention-precision bf16"), Words(TransformerFormats.Plain with { EightBitAttention = true }));

        static (string, string) Words(TransformerFormats formats) => (PrecisionChoice.Said(formats), PrecisionChoice.Instead(formats, ScalarType.BFloat16));
    }

    [Theory]
    [InlineData("expanded", false)]
    [InlineData("resident", true)]
    public void Weights_stay_as_stored_where_that_is_asked_for(string name, bool isResident)
    {
        Assert.Equal(isResident, PrecisionChoice.IsResident(name));
        Assert.Equal(
            isResident ? MatrixFormats.Stored : MatrixFormats.Dense,
            PrecisionChoice.Resolve("auto", "auto", Traits, new Device("cuda"), ScalarType.BFloat16, isResident).Matrices);
        Assert.Equal(
            "--weights 'disk' is not known: use expanded or resident", Assert.Throws<InvalidRequestException>(() => PrecisionChoice.IsResident("disk")).Message);
        Assert.Equal(
            "--weights resident needs an NVIDIA GPU, and this runs on the CPU: leave it out",
            Assert.Throws<InvalidRequestException>(() => PrecisionChoice.Resolve("auto", "auto", Traits, CPU, ScalarType.Float32, isResident: true)).Message);
    }
}
