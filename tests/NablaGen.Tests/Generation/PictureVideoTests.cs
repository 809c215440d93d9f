using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Video;
using NablaGen.Video.Pictures;
using static TorchSharp.torch;

namespace NablaGen.Tests.Generation;

/// <summary>Whole videos of models that are told pictures or have two experts.</summary>
public sealed class PictureVideoTests(PictureModelFixture models) : IClassFixture<PictureModelFixture>, IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public void A_video_continues_from_the_last_frame_of_another()
    {
        using var pipeline = new TextToVideo(models["i2v"], CPU, ScalarType.Float32, keepLoaded: true);
        var first = Make(pipeline, "a.mp4", Picture("a.png"));
        Assert.Equal((80, 32), (first.Recipe.Width, first.Recipe.Height));
        Assert.True(first.Seconds.ContainsKey(GenerationStage.EncodeImage));
        Assert.Equal(first.Recipe, RecipeFile.Read(_folder["a.mp4"]));
        Assert.Equal(first.Recipe, RecipeFile.Read(_folder["a.latents.safetensors"]));

        var last = SourcePicture.Open(SourcePicture.LastFrameOf + _folder["a.mp4"]);
        Assert.Equal((80, 32), (last.Width, last.Height));
        using (var reader = VideoReader.Open(_folder["a.mp4"]))
        {
            var frame = new byte[reader.FrameBytes];
            for (var i = 0; i < 5; i++)
            {
                Assert.True(reader.ReadFrame(frame));
            }

            Assert.Equal(frame, last.Load().Rgb24);
        }

        var second = Make(pipeline, "b.mp4", last);
        Assert.Equal(last, second.Recipe.Get(PictureFields.Image));

        // Another picture makes another video; the same one makes the same again, to the byte.
        Assert.NotEqual(File.ReadAllBytes(_folder["a.latents.safetensors"]), File.ReadAllBytes(_folder["b.latents.safetensors"]));
        Make(pipeline, "c.mp4", Picture("a.png"));
        Assert.Equal(File.ReadAllBytes(_folder["a.mp4"]), File.ReadAllBytes(_folder["c.mp4"]));
    }

    [Theory]
    [InlineData("flf2v", 2, true)]
    [InlineData("ti2v", 1, true)]
    [InlineData("ti2v", 0, false)]
    [InlineData("experts", 0, false)]
    public void Each_task_goes_through_all_stages(string kind, int pictures, bool encodes)
    {
        var model = models[kind];
        using var pipeline = new TextToVideo(model, CPU, ScalarType.Float32);
        var request = new PartialRequest { Prompt = "A red ball", Seed = 3, Steps = 3, Shift = 5 }
            .With(PictureFields.Image, pictures > 0 ? Picture("a.png") : null)
            .With(PictureFields.LastImage, pictures > 1 ? Picture("b.png", 30, 50) : null)
            .ToRequest(GenerationDefaults.Of(model));
        var result = pipeline.Measure(request);
        Assert.Equal(encodes, result.Seconds.ContainsKey(GenerationStage.EncodeImage));
        Assert.Matches("^[0-9a-f]{16}$", result.Recipe.ModelHash);
    }

    [Fact]
    public void Image_tokens_encoders_and_experts_are_in_the_plan()
    {
        var (text, told) = (models["t2v"], models["i2v"]);
        var tokens = told.Transformer.ImageTokens;
        Assert.Equal(told.ImageEncoderConfig.Tokens, tokens);
        var (plain, with) = (WanMemory.PromptMemory(told.DitConfig with { ImageTokens = 0 }, ScalarType.BFloat16), told.PromptMemory(ScalarType.BFloat16));
        Assert.Equal(plain * (told.DitConfig.TextLen + tokens) / told.DitConfig.TextLen, with);
        long[] latents = [16, 3, 16, 16];
        Assert.Equal(0, text.PictureWork(latents, ScalarType.Float32, ScalarType.Float32, VaeTiling.None));
        Assert.True(told.PictureWork(latents, ScalarType.Float32, ScalarType.Float32, VaeTiling.None) > told.SizesIn(ScalarType.Float32, ScalarType.Float32).Vae);

        var sizes = models["experts"].SizesIn(ScalarType.Float32, ScalarType.Float32);
        var needs = MemoryEstimate.Of(models["experts"], sizes, new VideoWorkload(latents, NablaGen.Attention.AttentionExpression.Dense), CPU, ScalarType.Float32);
        Assert.Equal(2, needs.Experts);
        var roomy = MemoryPlanner.Plan(needs, new MemoryBudget(1L << 40, 1L << 40), keepLoaded: false)!;
        Assert.True(roomy.KeepsExperts);
        var tight = new MemoryBudget((long)((needs.Runtime + 1.5 * needs.AllDitWeights + needs.DitWork + needs.PromptMemory) / (1 - MemoryPlanner.Margin)), 1L << 40);
        var plan = MemoryPlanner.Plan(needs with { Vae = [needs.Vae[0] with { Bytes = 0 }], VaeWeights = 0 }, tight, keepLoaded: true)!;
        Assert.Equal((2, false, needs.Layers), (plan.Experts, plan.KeepsExperts, plan.ResidentLayers));
        Assert.True(plan.Peaks[GenerationStage.Sample] < roomy.Peaks[GenerationStage.Sample]);
    }

    public void Dispose() => _folder.Dispose();

    private GenerationResult Make(TextToVideo pipeline, string name, SourcePicture picture) => pipeline.Generate(
        "A red ball", _folder[name], new PartialRequest { Seed = 3, Steps = 2 }.With(PictureFields.Image, picture));

    private SourcePicture Picture(string name, int width = 96, int height = 48)
    {
        PictureFile.SavePng(_folder[name], width, height, [.. Enumerable.Range(0, width * height * 3).Select(i => (byte)(i * 7))]);
        return SourcePicture.Open(_folder[name]);
    }
}
