using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Models.Wan;
using NablaGen.Training.Evaluation;
using NablaGen.Training.Evaluation.Generation;
using NablaGen.Training.Evaluation.Results;
using NablaGen.Training.Evaluation.Running;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training.Evaluation;

/// <summary>The evaluation of a model that is told a first frame.</summary>
public sealed class PictureSuiteTests : IDisposable
{
    private static readonly ClipSize Size = new(13, 96, 96);

    private readonly TempFolder _folder = new();
    private readonly ShapeWorld _world = new(WorldSplit.All);

    [Fact]
    public void Each_prompt_gets_the_first_frame_of_what_it_asks_for()
    {
        var prompts = EvaluationPlan.Choose(3);
        var told = PictureSuite.With(prompts, Size.Width, Size.Height, _folder["a"]);
        Assert.Equal(told.Select(one => one.Picture), PictureSuite.With(prompts, Size.Width, Size.Height, _folder["b"]).Select(one => one.Picture));
        Assert.Equal(3, told.Select(one => one.Picture).Distinct().Count());
        foreach (var (prompt, one) in prompts.Zip(told))
        {
            Assert.Equal((prompt.Text, prompt.IsHeldOut, Size.Width, Size.Height), (one.Text, one.IsHeldOut, one.Picture!.Width, one.Picture.Height));
            // A picture shows what a prompt may leave open.
            Assert.NotNull(one.Expectation.Backdrop);
            Assert.Equal(double.PositiveInfinity, PictureSuite.Psnr(Clip(prompt.Text), one.Picture.Load()));
        }

        Assert.InRange(PictureSuite.Psnr(Clip(prompts[0].Text), told[1].Picture!.Load()), 3, 20);
    }

    [Fact]
    public void A_clip_that_does_not_begin_with_its_picture_fails()
    {
        var plan = new EvaluationPlan
        {
            Prompts = PictureSuite.With(EvaluationPlan.Choose(3), Size.Width, Size.Height, _folder["pictures"]),
            Seeds = [1],
            Attentions = EvaluationPlan.Parse(["nabla-0.5"]),
            Shared = new PartialRequest { Width = Size.Width, Height = Size.Height },
            Defaults = GenerationDefaults.Of(WanDefaults.Values.With(("frames", Size.Frames), ("guidance", 1))),
        };
        using var rows = RowFile.Open(_folder.Path);
        var report = new EvaluationRunner(plan, new Clips(this), rows, batch: 3).Run();
        var (dense, late) = (report.Expressions[0], report.Expressions[1]);
        Assert.Equal((3, 1.0, double.PositiveInfinity), (dense.All.Right, dense.All.Attributes[ClipAttribute.Picture], dense.PicturePsnr!.Value));
        // One frame late: all is as it should be but the beginning, and that only where something moves.
        Assert.True(late.All.Attributes[ClipAttribute.Picture] < 1 && late.All.Right < 3, $"{late.PicturePsnr}");
        Assert.Equal(late.All.Attributes[ClipAttribute.Picture] * 3, late.All.Right, 3);
        Assert.True(late.WorstPicturePsnr < PictureSuite.LeastPsnr && late.WorstPicturePsnr <= late.PicturePsnr);

        report.Save(_folder.Path);
        var table = File.ReadAllText(_folder["results.md"]);
        Assert.Contains(" with a picture each, ", table);
        Assert.Contains("| lost | gained | picture (dB) | worst | sampling (s) |", table);
        Assert.Contains("| blocks | picture |", table);
        Assert.Contains($"| {late.PicturePsnr:0.0} | {late.WorstPicturePsnr:0.0} |", table);
    }

    [Fact]
    public void A_models_videos_begin_with_a_picture_each_whatever_is_beside_them()
    {
        var sizes = Toys.Sizes().ForTask("i2v");
        RandomModel.Save(_folder["model"], sizes);
        using var generator = new ModelClipGenerator(WanVideoModel.Open(_folder["model"]), CPU, ScalarType.Float32);
        var prompts = PictureSuite.With(EvaluationPlan.Choose(2), 32, 32, _folder["pictures"]);
        GenerationRequest[] requests = [.. prompts.Select(prompt => new PartialRequest { Prompt = prompt.Text, Seed = 1, Steps = 2, Width = 32, Height = 32 }
            .With(PictureFields.Image, prompt.Picture).ToRequest(sizes.Defaults))];
        generator.Prepare(requests, default);
        var batch = generator.Generate(requests, default);
        for (var i = 0; i < 2; i++)
        {
            var alone = generator.Generate([requests[i]], default).Single();
            Assert.True(batch[i].Frames.Rgb.Zip(alone.Frames.Rgb).All(pair => Math.Abs(pair.First - pair.Second) <= 1));
        }

        Assert.NotEqual(batch[0].Frames.Rgb, batch[1].Frames.Rgb);
    }

    public void Dispose()
    {
        _world.Dispose();
        _folder.Dispose();
    }

    private FrameBytes Clip(string prompt, int late = 0)
    {
        using var scope = NewDisposeScope();
        var scene = SuiteScenes.Of(EvaluationSuite.All.Single(one => one.Text == prompt));
        var frames = _world.Render([scene], Size, CPU)[0];
        return FrameBytes.Of(cat([frames.narrow(1, late, Size.Frames - late), .. Enumerable.Repeat(frames.narrow(1, Size.Frames - 1, 1), late)], 1));
    }

    // What is asked for; with sparse attention a frame too late.
    private sealed class Clips(PictureSuiteTests owner) : IClipGenerator
    {
        public Recipe RecipeOf(GenerationRequest request) => Recipe.Of(request, "rendered", "0", "cpu", "float32");

        public void Prepare(IReadOnlyList<GenerationRequest> requests, CancellationToken cancellation)
        {
        }

        public IReadOnlyList<GeneratedClip> Generate(IReadOnlyList<GenerationRequest> requests, CancellationToken cancellation) =>
            [.. requests.Select(request => new GeneratedClip(owner.Clip(request.Prompt, request.Attention.IsDense ? 0 : 1), 1, 1, 1))];
    }
}
