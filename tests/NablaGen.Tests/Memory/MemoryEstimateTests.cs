using NablaGen.Attention;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Memory;

public class MemoryEstimateTests
{
    private const double GiB = 1L << 30;

    // docs/performance.md, "A pass through the transformer" (1.3B dense with fixed segments: an earlier run): device memory in use, CUDA context included, one digit.
    [Theory]
    [InlineData("1.3B", 30, 21, 48, 96, "nabla-0.31", true, 4.5)]
    [InlineData("1.3B", 30, 21, 60, 104, "dense", true, 4.8)]
    [InlineData("14B", 10, 21, 80, 160, "dense", true, 15.3)]
    [InlineData("14B", 10, 21, 80, 160, "nabla-0.12", true, 15.5)]
    [InlineData("1.3B", 30, 21, 48, 96, "nabla-0.145", false, 4.9)]
    [InlineData("1.3B", 30, 21, 60, 104, "dense", false, 5.3)]
    [InlineData("14B", 10, 21, 80, 160, "nabla-0.12", false, 18.6)]
    public void The_peaks_that_were_measured_are_expected(
        string preset, int layers, int frames, int height, int width, string attention, bool growing, double measured)
    {
        var config = (preset == "14B" ? DitConfig.Wan14B : DitConfig.Wan1_3B) with { NumLayers = layers };
        var sizes = WanMemory.Sizes(config, TextEncoderConfig.UmT5Xxl, VaeConfig.Wan21, ScalarType.BFloat16, ScalarType.Float32);
        var work = MemoryEstimate.Held(
            WanMemory.TransformerWork(config, [16, frames, height, width], AttentionExpression.Parse(attention), DeviceType.CUDA, ScalarType.BFloat16), DeviceType.CUDA, growing);
        var expected = (MemoryEstimate.CudaRuntime + sizes.Transformer + layers * sizes.Layer + work) / GiB;
        TestContext.Current.TestOutputHelper!.WriteLine($"{preset}: {expected:0.00} expected, {measured} measured");

        // With the planner's margin never less than what it took, and not wastefully more.
        Assert.InRange(expected / (1 - MemoryPlanner.Margin), measured, measured * 1.12);
        Assert.InRange(expected, measured * 0.96, measured * 1.06);
    }

    // docs/performance.md, "VAE and text encoder": by our own convolutions on Hopper.
    [Theory]
    [InlineData(false, 81, 0, 0, 1, 5.65)]
    [InlineData(false, 17, 0, 0, 4, 6.94)]
    [InlineData(false, 17, 360, 640, 1, 2.24)]
    [InlineData(false, 17, 256, 256, 1, 1.49)]
    [InlineData(true, 81, 0, 0, 4, 5.75)]
    [InlineData(true, 81, 0, 0, 1, 4.77)]
    public void The_peaks_of_the_vae_that_were_measured_are_expected(bool encodes, int frames, int height, int width, int framesAtOnce, double measured)
    {
        var (vae, tiling, bf16) = (VaeConfig.Wan21, new VaeTiling(height, width, framesAtOnce), ScalarType.BFloat16);
        var weights = WanMemory.Sizes(DitConfig.Wan1_3B, TextEncoderConfig.UmT5Xxl, vae, bf16, bf16).Vae;
        var alive = (encodes ? VaeMemory.EstimateEncoding(vae, frames, 720, 1280, bf16, tiling, apart: true) : VaeMemory.Estimate(vae, frames, 720, 1280, bf16, tiling, apart: true)) - weights;
        var expected = (MemoryEstimate.CudaRuntime + weights + MemoryEstimate.HeldInVae(alive, apart: true)) / GiB;
        TestContext.Current.TestOutputHelper!.WriteLine($"{expected:0.00} expected, {measured} measured");

        // With the planner's margin never less than what it took.
        Assert.InRange(expected / (1 - MemoryPlanner.Margin), measured, measured * 1.13);
        Assert.InRange(expected, measured * 0.98, measured * 1.07);
    }

    // The box's 16, 32 and 64 channels: our own convolution takes some of its layers, and what is read joined is counted so.
    [Fact]
    public void A_narrow_vae_is_counted_by_its_channels()
    {
        long Work(int dim, bool apart) => VaeMemory.Work(VaeConfig.Wan21 with { Dim = dim }, 33, 256, 256, ScalarType.BFloat16, VaeTiling.None, apart);
        TestContext.Current.TestOutputHelper!.WriteLine(string.Join(", ", new[] { 4, 16, 32 }.Select(dim => $"{dim}: {Work(dim, false) >> 10} KiB joined, {Work(dim, true) >> 10} apart")));
        Assert.Equal(Work(4, false), Work(4, true));
        Assert.InRange(Work(16, true), (long)(0.9 * Work(16, false)), (long)(1.1 * Work(16, false)));
        Assert.InRange(Work(32, true), (long)(0.7 * Work(32, false)), Work(32, false) - 1);
        Assert.True(ConvolutionOp.Fits(96, 3) && ConvolutionOp.Fits(32, 16) && !ConvolutionOp.Fits(16, 16) && !ConvolutionOp.Fits(3, 96));
    }

    [Fact]
    public void The_weights_are_those_of_the_official_models()
    {
        var sizes = WanMemory.Sizes(DitConfig.Wan14B, TextEncoderConfig.UmT5Xxl, VaeConfig.Wan21, ScalarType.BFloat16, ScalarType.Float32);
        Assert.InRange((sizes.Transformer + 40 * sizes.Layer) / 1e9, 28.5, 29.5);
        Assert.InRange(sizes.TextEncoder / 1e9, 11.3, 11.4);
        Assert.InRange(sizes.Vae / 1e6, 507, 509);
    }

    [Fact]
    public void More_of_anything_takes_more()
    {
        var dense = AttentionExpression.Parse("dense");
        long Work(long frames, string attention = "dense", int batch = 1, DeviceType device = DeviceType.CUDA, ScalarType type = ScalarType.BFloat16) =>
            WanMemory.TransformerWork(DitConfig.Wan1_3B, [16, frames, 60, 104], AttentionExpression.Parse(attention), device, type, batch);

        Assert.True(Work(21) > Work(20));
        Assert.True(Work(21, "nabla-0.7") > Work(21));
        Assert.True(Work(21, batch: 2) > 1.9 * Work(21));
        Assert.True(Work(21, type: ScalarType.Float32) > 1.5 * Work(21));
        Assert.True(Work(21, device: DeviceType.CPU, type: ScalarType.Float32) > 0);
        Assert.Equal(32_760, DitConfig.Wan1_3B.Traits.TokensOf([16, 21, 60, 104]));
        Assert.True(dense.IsDense);
    }

    // Kept beside the prompts' keys and values, but where both passes are one batch.
    [Fact]
    public void What_the_passes_with_and_without_the_prompt_share_is_counted()
    {
        var model = WanVideoModel.InMemory(DitConfig.Wan14B, new NablaGenJson(), tokenizer: null, (part, _) => throw new InvalidOperationException($"{part} is opened"));
        long[] latents = [16, 5, 60, 104];
        long Kept(int prompts, int batch) => MemoryEstimate.Of(
            model, model.SizesIn(ScalarType.BFloat16, ScalarType.BFloat16), new VideoWorkload(latents, AttentionExpression.Dense, prompts, batch), new Device(DeviceType.CUDA), ScalarType.BFloat16)
            .PromptMemory;
        Assert.Equal(2L * 7_800 * 5_120, model.SharedMemory(latents, ScalarType.BFloat16));
        Assert.Equal(MemoryEstimate.Held(2L * 7_800 * 5_120, DeviceType.CUDA), Kept(2, 1) - Kept(2, 2));
        Assert.Equal(2 * Kept(1, 1), Kept(2, 2));
    }

    [Fact]
    public void Time_is_said_only_where_it_was_measured()
    {
        // Measured on an H100 (2026-11-23): 337 ms and 2,198 ms a dense pass.
        var small = SamplingTime.AtMost(DitConfig.Wan1_3B.Traits, 24_192, 1, "NVIDIA H100 80GB HBM3")!.Value;
        var large = SamplingTime.AtMost((DitConfig.Wan14B with { NumLayers = 10 }).Traits, 67_200, 1, "NVIDIA H100 80GB HBM3")!.Value;
        Assert.InRange(small.TotalMilliseconds, 300, 400);
        Assert.InRange(large.TotalMilliseconds, 2_150, 2_700);
        Assert.Null(SamplingTime.AtMost(DitConfig.Wan1_3B.Traits, 24_192, 1, "NVIDIA GeForce RTX 4060"));
    }
}
