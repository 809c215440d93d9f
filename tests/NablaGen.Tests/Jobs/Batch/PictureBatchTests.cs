using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Batch;
using NablaGen.Jobs.Compare;
using NablaGen.Tests.Generation;
using NablaGen.Video.Pictures;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Batch;

/// <summary>Lists and comparisons of videos from pictures.</summary>
public sealed class PictureBatchTests(PictureModelFixture models) : IClassFixture<PictureModelFixture>, IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public void Each_row_begins_with_its_own_picture()
    {
        using var pipeline = new TextToVideo(models["i2v"], CPU, ScalarType.Float32, keepLoaded: true);
        var (one, other) = (Picture("a.png", 3), Picture("b.png", 5));
        // Stills need no ffmpeg. The second row's picture is that of all rows.
        File.WriteAllText(_folder["list.csv"], $"prompt,image,size_from,fit\na ball,{one.Name},model,pad\na ball,,,\na ball,{one.Name},,\n");
        var shared = new PartialRequest { Steps = 2, Frames = 1, Seed = 3 }.With(PictureFields.Image, other);
        var rows = BatchPlan.Make(PromptFile.Read(_folder["list.csv"]), shared, SeedPlan.Once, pipeline.Model);
        Assert.Equal([(64, 64, "pad", one), (64, 64, "stretch", other), (64, 64, "stretch", one)],
            rows.Select(row => (row.Request.Width, row.Request.Height, row.Request.Get(PictureFields.Fit), row.Request.Image)));

        var progress = new Silent();
        var summary = new BatchRunner(pipeline, _folder["out"], new BatchOptions(), progress).Run(rows);
        Assert.Equal(new BatchSummary(3, 3, 0, 0), summary);
        var stills = rows.Select(row => File.ReadAllBytes(Path.Combine(_folder["out"], row.FileName))).ToArray();
        Assert.NotEqual(stills[0], stills[1]);
        var entries = rows.Select(row => new BatchManifest(_folder["out"], Shard.Whole).Find(row.Name)!).ToArray();
        Assert.Equal([one.Sha256, other.Sha256, one.Sha256], entries.Select(entry => entry.Recipe.Get(PictureFields.Image)!.Sha256));

        // A second run makes nothing, and another picture under the same name is another video.
        Assert.Equal(new BatchSummary(3, 0, 3, 0), new BatchRunner(pipeline, _folder["out"], new BatchOptions(), progress).Run(rows));
        Picture("a.png", 7);
        var changed = BatchPlan.Make(PromptFile.Read(_folder["list.csv"]), shared, SeedPlan.Once, pipeline.Model);
        Assert.Equal(new BatchSummary(3, 2, 1, 0), new BatchRunner(pipeline, _folder["out"], new BatchOptions(), progress).Run(changed));
    }

    [Fact]
    public void Rows_between_two_pictures_name_both()
    {
        var (first, last) = (Picture("a.png", 3), Picture("b.png", 5));
        File.WriteAllText(_folder["list.jsonl"], $$"""{"prompt": "a ball", "image": "{{first.Name}}", "last_image": "{{last.Name}}"}""");
        var rows = PromptFile.Read(_folder["list.jsonl"]);
        var request = Assert.Single(BatchPlan.Make(rows, new PartialRequest(), SeedPlan.Once, models["flf2v"])).Request;
        Assert.Equal((first, last), (request.Image, request.LastImage));

        File.WriteAllText(_folder["list.csv"], $"prompt,image,last_image\na ball,{first.Name},\n");
        Assert.StartsWith($"{_folder["list.csv"]}:2: the model 'golden' makes videos between two pictures: name the last one with --last-image",
            Assert.Throws<InvalidRequestException>(() => BatchPlan.Make(PromptFile.Read(_folder["list.csv"]), new PartialRequest(), SeedPlan.Once, models["flf2v"])).Message);
        File.WriteAllText(_folder["list.csv"], $"prompt,image\na ball,{_folder["none.png"]}\n");
        Assert.Contains("list.csv:2", Assert.Throws<InvalidRequestException>(() => PromptFile.Read(_folder["list.csv"])).Message);
    }

    [Fact]
    public void A_comparison_gives_each_attention_the_same_picture()
    {
        using var pipeline = new TextToVideo(models["i2v"], CPU, ScalarType.Float32, keepLoaded: true);
        var picture = Picture("a.png", 3);
        GenerationRequest[] requests = [.. new[] { "dense", "nabla-0.5" }.Select(attention => new PartialRequest
        {
            Prompt = "a ball", Steps = 2, Seed = 3, Attention = AttentionExpression.Parse(attention),
        }.With(PictureFields.Image, picture).ToRequest(GenerationDefaults.Of(pipeline.Model)))];
        using var prompt = pipeline.Prepare([requests[0]]).Single();
        using var comparison = new Comparison(pipeline, prompt, _folder["compare"]);
        foreach (var request in requests)
        {
            comparison.Add(request);
        }

        var report = comparison.Complete();
        Assert.Equal(picture, report.Recipe.Get(PictureFields.Image));
        Assert.All(report.Expressions, one => Assert.Equal(picture, RecipeFile.Read(_folder[$"compare/{one.Video}"]).Get(PictureFields.Image)));
        // The same noise and the same picture: what differs is the attention alone.
        Assert.InRange(report.Expressions[1].Psnr!.Value, 10, double.PositiveInfinity);
    }

    public void Dispose() => _folder.Dispose();

    private SourcePicture Picture(string name, int factor)
    {
        PictureFile.SavePng(_folder[name], 64, 64, [.. Enumerable.Range(0, 64 * 64 * 3).Select(i => (byte)(i * factor / 9))]);
        return SourcePicture.Open(_folder[name]);
    }

    private sealed class Silent : IBatchProgress
    {
        public void OnStart(IReadOnlyList<BatchRow> pending, BatchSummary soFar)
        {
        }

        public void OnRowStart(BatchRow row)
        {
        }

        public void OnRowDone(BatchRow row, ManifestEntry entry, BatchSummary soFar)
        {
        }

        public void OnRowFailed(BatchRow row, ManifestEntry entry, BatchSummary soFar) => Assert.Fail($"{entry.Error}");

        public void OnRowSkipped(BatchRow row, ManifestEntry entry, BatchSummary soFar)
        {
        }

        public void OnWait(int rows)
        {
        }

        public void OnStage(GenerationStage stage, int units)
        {
        }

        public void OnProgress(int done, double? density)
        {
        }
    }
}
