using NablaGen.Generation;
using NablaGen.Jobs.Batch;

namespace NablaGen.Tests.Jobs.Batch;

public sealed class BatchManifestTests : IDisposable
{
    private static readonly Recipe Recipe = Recipe.Of(
        new PartialRequest { Prompt = "猫 \"x\"", Seed = 1, Steps = 1, Solver = "euler", Guidance = 1, Width = 16, Height = 16, Frames = 1, Fps = 8 }
            .ToRequest(GenerationDefaults.Wan),
        "m", "0123", "cpu", "float32");

    private readonly TempFolder _folder = new();

    [Fact]
    public void A_rows_newest_line_counts_whichever_file_has_it()
    {
        var one = new BatchManifest(_folder.Path, new Shard(1, 2));
        var two = new BatchManifest(_folder.Path, new Shard(2, 2));
        one.Add(Entry("a", 1, RowState.Done) with { Bytes = 5, Density = 0.25 });
        two.Add(Entry("a", 2, RowState.Failed) with { Error = "why" });
        two.Add(Entry("b", 2, RowState.Failed));
        one.Add(Entry("b", 1, RowState.Done));

        one.Refresh();
        Assert.Equal(("why", RowState.Failed), (one.Find("a")!.Error, one.Find("b")!.State));
        var both = new BatchManifest(_folder.Path, Shard.Whole);
        Assert.Equal(one.Find("a"), both.Find("a"));
        Assert.True(both.Find("b")!.Has(Recipe));
        Assert.Null(both.Find("c"));
        Assert.Equal(["manifest.shard-1-of-2.jsonl", "manifest.shard-2-of-2.jsonl"], _folder.Files.Select(file => Path.GetFileName(file)!).Order());
    }

    [Fact]
    public void Half_a_line_costs_only_its_row()
    {
        var manifest = new BatchManifest(_folder.Path, Shard.Whole);
        manifest.Add(Entry("a", 1, RowState.Done));
        var line = File.ReadAllText(manifest.Path);
        File.AppendAllText(manifest.Path, line.Replace("\"a\"", "\"half\"")[..^20]);

        manifest = new BatchManifest(_folder.Path, Shard.Whole);
        manifest.Add(Entry("b", 2, RowState.Done));
        manifest = new BatchManifest(_folder.Path, Shard.Whole);
        Assert.NotNull(manifest.Find("a"));
        Assert.NotNull(manifest.Find("b"));
        Assert.Null(manifest.Find("half"));
    }

    [Fact]
    public void Many_may_write_at_once()
    {
        const int Each = 25;
        Parallel.For(0, 4, new ParallelOptions { MaxDegreeOfParallelism = 4 }, writer =>
        {
            var manifest = new BatchManifest(_folder.Path, Shard.Whole);
            for (var i = 0; i < Each; i++)
            {
                manifest.Add(Entry($"{writer}-{i}", i, RowState.Done));
                manifest.Refresh();
            }
        });
        var all = new BatchManifest(_folder.Path, Shard.Whole);
        Assert.All(Enumerable.Range(0, 4 * Each), i => Assert.NotNull(all.Find($"{i / Each}-{i % Each}")));
        Assert.Equal(4 * Each, File.ReadLines(all.Path).Count());
    }

    [Theory]
    [InlineData("\"recipe\":{", "\"recipe\":null,\"other\":{")]
    [InlineData("\"name\":\"a\"", "\"name\":null")]
    [InlineData("\"steps\":1", "\"steps\":null")]
    [InlineData("\"attention\":\"dense\"", "\"attention\":\"nabla-/no/file\"")]
    public void A_line_that_lacks_what_it_must_have_is_passed_over(string good, string bad)
    {
        var manifest = new BatchManifest(_folder.Path, Shard.Whole);
        manifest.Add(Entry("a", 1, RowState.Done));
        var line = File.ReadAllText(manifest.Path);
        Assert.Contains(good, line);
        File.WriteAllText(manifest.Path, line.Replace(good, bad));
        Assert.Null(new BatchManifest(_folder.Path, Shard.Whole).Find("a"));
    }

    [Fact]
    public void A_recipe_is_compared_but_for_where_it_ran()
    {
        var entry = Entry("a", 1, RowState.Done);
        Assert.True(entry.Has(Recipe with { Device = "cuda:1", Version = "2", Model = "other", Thresholds = [0.5] }));
        Recipe[] others =
        [
            Recipe with { Prompt = "y" }, Recipe with { Steps = 2 }, Recipe with { ModelHash = "4567" }, Recipe with { Dtype = "bfloat16" },
        ];
        Assert.All(others, other => Assert.False(entry.Has(other)));
    }

    public void Dispose() => _folder.Dispose();

    private static ManifestEntry Entry(string name, int second, RowState state) => new()
    {
        Time = new DateTimeOffset(2030, 1, 1, 0, 0, second, TimeSpan.Zero),
        Name = name,
        State = state,
        Row = 1,
        Where = "p.txt:1",
        Seconds = 1.5,
        Host = "h",
        Recipe = Recipe,
    };
}
