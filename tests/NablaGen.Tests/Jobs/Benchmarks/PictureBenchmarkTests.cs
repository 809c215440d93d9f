using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Benchmarks;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Tests.Training;
using NablaGen.Video.Pictures;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Benchmarks;

/// <summary>Benchmarks of models that are told pictures, with random weights.</summary>
public sealed class PictureBenchmarkTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void A_whole_generation_begins_with_a_picture(bool hasImageTokens, bool hasExperts)
    {
        var sizes = Toys.Sizes().ForTask("i2v");
        var (dit, others) = (sizes.Dit, sizes.Others with
        {
            ImageEncoder = new ImageEncoderConfig { Dim = 32, NumHeads = 2, NumLayers = 2, ImageSize = 28 },
            Boundary = hasExperts ? 0.9 : null,
        });
        dit = hasImageTokens ? dit with { ImageDim = 32, ImageTokens = 5 } : dit;
        var model = WanVideoModel.InMemory(dit, others, Toys.TokenizerPath, RandomTensorSource.Steady);
        PictureFile.SavePng(_folder["a.png"], 32, 32, new byte[32 * 32 * 3]);
        using var bench = new GenerationBenchmark(model, CPU, ScalarType.Float32);
        var timing = bench.Run(new PartialRequest { Prompt = "a", Seed = 1, Steps = 3, Guidance = 2 }
            .With(PictureFields.Image, SourcePicture.Open(_folder["a.png"])).ToRequest(GenerationDefaults.Of(model)));
        Assert.True(timing.PictureSeconds > 0 && timing.TotalSeconds > timing.PictureSeconds + timing.SampleSeconds);
        Assert.Equal(3, timing.Steps.Count);
    }

    [Fact]
    public void A_step_cache_is_compared_with_the_same_run_without_one()
    {
        var sizes = Toys.Sizes();
        using var bench = new GenerationBenchmark(WanVideoModel.InMemory(sizes.Dit, sizes.Others, Toys.TokenizerPath, RandomTensorSource.Steady), CPU, ScalarType.Float32);
        var full = new PartialRequest { Prompt = "a", Seed = 1, Steps = 12, Guidance = 2, Frames = 1, Width = 64, Height = 64 }.ToRequest(GenerationDefaults.Wan);
        var cached = full with { StepCache = "easy:10" };
        Assert.Null(bench.Run(cached).LatentPsnr);
        Assert.True(bench.Run(full) is { ComputedSteps: 12, StepCache: "none", LatentPsnr: null });
        var timing = bench.Run(cached);
        Assert.True(timing is { ComputedSteps: >= 3 and < 12, StepCache: "easy:10", LatentPsnr: > 0 and < 100 }, $"{timing}");
        // An error that none reaches skips nothing.
        Assert.True(bench.Run(full with { StepCache = "easy:1e-9" }) is { ComputedSteps: 12, LatentPsnr: null });
        Assert.Null(bench.Run(cached with { Seed = 2 }).LatentPsnr);
    }

    [Fact]
    public void An_encoding_is_timed_beside_its_estimate()
    {
        var timing = VaeBenchmark.RunEncoding(VaeConfig.Wan21 with { Dim = 4 }, (5, 32, 48), ModuleOptions.Cpu, new VaeTiling(16, 16, 1), repeats: 1);
        Assert.True(timing.Seconds > 0 && timing.MemoryBytes > timing.EstimatedBytes && timing.EstimatedBytes > 0 && timing.Psnr is null);
    }

    public void Dispose() => _folder.Dispose();
}
