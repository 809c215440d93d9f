using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Tests.Cuda;
using NablaGen.Training.Evaluation.Generation;
using NablaGen.Training.Models;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training.Evaluation;

public sealed class ModelClipGeneratorTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData("dense", 1)]
    [InlineData("nabla-0.4", 3)]
    [InlineData("sta-3-1-1", 3)]
    public void A_batch_gives_what_its_videos_give_one_by_one(string attention, double guidance)
    {
        var sizes = Toys.Sizes();
        RandomModel.Save(_folder[""], sizes with { Dit = sizes.Dit with { Dim = 128, NumHeads = 2 } });
        using var generator = new ModelClipGenerator(WanVideoModel.Open(_folder[""]), CPU, ScalarType.Float32);
        GenerationRequest[] requests = [Request("a b", 1), Request("a red ball falls", 2), Request("a b", 3)];
        generator.Prepare(requests, default);
        var batch = generator.Generate(requests, default);
        var single = requests.Select(request => generator.Generate([request], default).Single()).ToArray();
        for (int i = 0; i < requests.Length; i++)
        {
            Assert.Equal((5, 128, 256), (batch[i].Frames.Frames, batch[i].Frames.Height, batch[i].Frames.Width));
            // A product over more rows may round otherwise.
            Assert.True(batch[i].Frames.Rgb.Zip(single[i].Frames.Rgb).All(pair => Math.Abs(pair.First - pair.Second) <= 1));
            Assert.Equal(single[i].Density, batch[i].Density, 3);
            Assert.True(batch[i].SamplingSeconds > 0 && batch[i].DecodingSeconds > 0);
        }

        Assert.NotEqual(batch[0].Frames.Rgb, batch[2].Frames.Rgb);
        // sta-3-1-1 on two frames of 1 × 2 blocks each: the same block in both frames.
        Assert.Equal(attention switch { "dense" => 1, "sta-3-1-1" => 0.5, _ => batch[0].Density }, batch[0].Density, 6);
        Assert.True(attention != "nabla-0.4" || batch[0].Density is > 0.1 and < 0.9, $"{batch[0].Density}");

        GenerationRequest Request(string prompt, long seed) => new PartialRequest
        {
            Prompt = prompt,
            Seed = seed,
            Attention = AttentionExpression.Parse(attention),
            DenseSteps = attention == "dense" ? null : 0,
            Guidance = guidance,
            Steps = 2,
            Width = 256,
            Height = 128,
        }.ToRequest(sizes.Defaults);
    }

    [Theory, Trait("gpu", "true")]
    [InlineData("dense")]
    [InlineData("nabla-0.4")]
    [InlineData("sta-3-1-1")]
    [InlineData("nabla-0.4_sta-3-1-1")]
    public void On_a_gpu_a_batch_gives_what_its_videos_give_one_by_one(string attention)
    {
        Gpu.Require();
        var sizes = ModelSizes.Tiny.WithVocabulary(UmT5Tokenizer.Load(Toys.TokenizerPath).VocabularySize);
        RandomModel.Save(_folder[""], sizes);
        using var generator = new ModelClipGenerator(WanVideoModel.Open(_folder[""]), CUDA, ScalarType.BFloat16);
        // Nine are decoded in two parts.
        GenerationRequest[] requests = [.. Enumerable.Range(0, 9).Select(i => new PartialRequest
        {
            Prompt = i % 2 == 0 ? "a b" : "a red ball falls",
            Seed = i,
            Attention = AttentionExpression.Parse(attention),
            DenseSteps = attention == "dense" ? null : 0,
            Steps = 3,
        }.ToRequest(sizes.Defaults))];
        generator.Prepare(requests, default);
        var batch = generator.Generate(requests, default);
        foreach (int i in new[] { 0, 5, 8 })
        {
            var single = generator.Generate([requests[i]], default).Single();
            // Other products of other sizes round otherwise; a block at the threshold may fall to either side.
            Assert.InRange(batch[i].Frames.Rgb.Zip(single.Frames.Rgb).Average(pair => Math.Abs(pair.First - pair.Second)), 0, 3);
            Assert.Equal(single.Density, batch[i].Density, 0.02);
        }
    }

    [Theory]
    [InlineData("none", 12, 12)]
    [InlineData("easy:10", 3, 11)]
    public void The_steps_that_are_computed_are_counted(string cache, int least, int most)
    {
        var sizes = Toys.Sizes();
        RandomModel.Save(_folder[""], sizes);
        using var generator = new ModelClipGenerator(WanVideoModel.Open(_folder[""]), CPU, ScalarType.Float32);
        var request = new PartialRequest { Prompt = "a b", Seed = 1, Steps = 12, Frames = 1, Width = 64, Height = 64 }.ToRequest(sizes.Defaults) with { StepCache = cache };
        generator.Prepare([request], default);
        Assert.InRange(generator.Generate([request, request with { Seed = 2 }], default)[1].ComputedSteps!.Value, least, most);
    }

    [Fact]
    public void Frames_are_those_that_generate_writes()
    {
        RandomModel.Save(_folder[""], Toys.Sizes());
        var folder = WanVideoModel.Open(_folder[""]);
        var request = new PartialRequest { Prompt = "a b", Seed = 5, Frames = 1, Steps = 2 }.ToRequest(GenerationDefaults.Of(folder.Defaults));
        using var pipeline = new TextToVideo(folder, CPU, ScalarType.Float32);
        pipeline.Generate(request, _folder["a.png"]);
        using var generator = new ModelClipGenerator(folder, CPU, ScalarType.Float32);
        generator.Prepare([request], default);
        using var still = SkiaSharp.SKBitmap.Decode(_folder["a.png"]);
        var clip = generator.Generate([request], default)[0].Frames;
        Assert.Equal(still.Pixels.SelectMany(pixel => new[] { pixel.Red, pixel.Green, pixel.Blue }), clip.Interleaved(0));
        Assert.Equal(pipeline.RecipeOf(request), generator.RecipeOf(request));
    }

    public void Dispose() => _folder.Dispose();
}
