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
    public void A_files_last_line_counts_and_between_files_what_is_done()
    {
        var one = new BatchManifest(_folder.Path, new Shard(1, 2));
        var two = new BatchManifest(_folder.Path, new Shard(2, 2));
        one.Add(Entry("a", 1, RowState.Done) with { Bytes = 5, Density = 0.25 });
        two.Add(Entry("a", 2, RowState.Failed) with { Error = "why" });
        two.Add(Entry("b", 2, RowState.Failed));
        one.Add(Entry("b", 1, RowState.Done));
        one.Add(Entry("b", 0, RowState.Failed) with { Error = "later in the same file" });

        one.Refresh();
        Assert.Equal((RowState.Done, RowState.Failed), (one.Find("a")!.State, one.Find("b")!.State));
        var both = new BatchManifest(_folder.Path, Shard.Whole);
        Assert.Equal(one.Find("a"), both.Find("a"));
        Assert.True(both.Find("b")!.Has(Recipe));
        Assert.Null(both.Find("c"));
        Assert.Equal(["manifest.shard-1-of-2.jsonl", "manifest.shard-2-of-2.jsonl"], _folder.Files.Select(file => Path.GetFileName(file)!).Order());
    }

    [Fact]
    public void No_clock_is_believed()
    {
        var manifest = new BatchManifest(_folder.Path, Shard.Whole);
        // Of a machine whose clock ran ahead; it is right again.
        manifest.Add(Entry("a", 50, RowState.Failed));
        manifest.Add(Entry("a", 1, RowState.Done));
        Assert.Equal(RowState.Done, manifest.Find("a")!.State);
        Assert.Equal(RowState.Done, Assert.Single(new BatchManifest(_folder.Path, Shard.Whole).Of(Recipe)).State);
    }

    [Fact]
    public void A_video_is_found_by_its_recipe_under_every_name()
    {
        var manifest = new BatchManifest(_folder.Path, Shard.Whole);
        manifest.Add(Entry("0001-x-s1", 1, RowState.Done));
        manifest.Add(Entry("0001-x-s1", 1, RowState.Done) with { Recipe = Recipe with { Guidance = 4 } });
        manifest.Add(Entry("0002-x-s1", 1, RowState.Failed));
        Assert.Equal(["0001-x-s1", "0002-x-s1"], manifest.Of(Recipe with { Device = "cuda:0" }).Select(entry => entry.Name));
        Assert.Equal([1, 4], manifest.Named("0001-x-s1").Select(entry => entry.Recipe.Guidance).Order());
        Assert.Empty(manifest.Of(Recipe with { Seed = 2 }));
    }

    [Theory]
    [InlineData("\"name\":\"a\"", "\"name\":null")]
    [InlineData("\"where\":\"p.txt:1\"", "\"where\":null")]
    [InlineData("\"prompt\":", "\"prompt\":null,\"negative_prompt\":")]
    [InlineData("\"name\":\"a\"", "\"name\":\"../a\"")]
    [InlineData("\"name\":\"a\"", "\"name\":7")]
    public void A_line_that_is_not_ours_is_passed_over(string ours, string other)
    {
        var manifest = new BatchManifest(_folder.Path, Shard.Whole);
        manifest.Add(Entry("b", 1, RowState.Done));
        manifest.Add(Entry("a", 1, RowState.Done));
        var lines = File.ReadAllLines(manifest.Path);
        Assert.Contains(ours, lines[1]);
        var at = lines[1].IndexOf("\"recipe\":", StringComparison.Ordinal);
        File.WriteAllLines(manifest.Path, [lines[0], lines[1].Replace(ours, other), lines[1].Replace(lines[1][at..], "\"recipe\":null}"), "null", "[]", "{}"]);
        manifest = new BatchManifest(_folder.Path, Shard.Whole);
        Assert.NotNull(manifest.Find("b"));
        Assert.Null(manifest.Find("a"));
    }

    [Fact]
    public void A_manifest_that_is_a_pipe_or_may_not_be_written_is_said_at_once()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "mkfifo");
        System.Diagnostics.Process.Start("mkfifo", _folder["manifest.jsonl"]).WaitForExit();
        Assert.Contains("a pipe or a device", Assert.Throws<NablaGenException>(() => new BatchManifest(_folder.Path, Shard.Whole)).Message);
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
        // A line is there once. An empty one says nothing: it ends what looked like the half line of a process that died.
        Assert.Equal(4 * Each, File.ReadLines(all.Path).Count(line => line.Length > 0));
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
