using System.Security.Cryptography;
using NablaGen.Jobs.Batch;
using NablaGen.Tests.Cli;

namespace NablaGen.Tests.Jobs.Batch;

/// <summary>What a batch makes, and what it need not make.</summary>
public sealed class BatchRunnerTests(GoldenModelFixture model) : SmallBatches(model)
{
    [Fact]
    public void Rows_are_made_once_and_skipped_afterwards()
    {
        Assert.Equal(new BatchSummary(3, 3, 0, 0), Run("a", "b", "猫"));
        Assert.Equal(["start 3", "row a", "done a", "row b", "done b", "row 猫", "done 猫"], Log.Take());
        var entry = new BatchManifest(Folder.Path, Shard.Whole).Find(Names("a", "b", "猫")[2])!;
        var video = File.ReadAllBytes(Folder[entry.Video!]);
        Assert.Equal((Convert.ToHexStringLower(SHA256.HashData(video)), video.Length), (entry.Sha256, entry.Bytes));
        Assert.Equal((3, "p:3", RowState.Done, "猫"), (entry.Row, entry.Where, entry.State, entry.Recipe.Prompt));

        Assert.Equal(new BatchSummary(3, 0, 3, 0), Run("a", "b", "猫"));
        Assert.Equal(["start 0", "skipped a", "skipped b", "skipped 猫"], Log.Take());
        Assert.DoesNotContain(Folder.Files, file => file.EndsWith(".partial") || file.EndsWith(".claim"));
    }

    [Fact]
    public void A_prompt_that_is_not_pending_is_not_encoded()
    {
        Run("a", "b");
        Log.Encoded = 0;
        Run("a", "b", "c");
        Assert.Equal(1, Log.Encoded);
    }

    [Fact]
    public void Prompts_are_encoded_some_rows_ahead()
    {
        var rows = Rows(1, "a", "b", "c", "d", "e");
        var runner = new BatchRunner(Pipeline, Folder.Path, new BatchOptions(), Log) { WindowSize = 2 };
        Assert.Equal(5, runner.Run(rows).Made);
        Assert.Equal((3, 5), (Log.Stages.Count(stage => stage == GenerationStage.EncodeText), Log.Encoded));

        // As if all had been encoded at once.
        var windowed = rows.Select(row => File.ReadAllBytes(Folder[row.Name + ".png"])).ToList();
        rows.ToList().ForEach(row => File.Delete(Folder[row.Name + ".png"]));
        rows.ToList().ForEach(row => File.Delete(Folder[row.Name + ".latents.safetensors"]));
        Run(rows);
        Assert.Equal(windowed, rows.Select(row => File.ReadAllBytes(Folder[row.Name + ".png"])));
    }

    [Fact]
    public void Without_its_video_a_row_is_decoded_from_its_latents()
    {
        Run("a");
        var name = Names("a")[0];
        var before = File.ReadAllBytes(Folder[name + ".png"]);
        File.Delete(Folder[name + ".png"]);
        Log.Stages.Clear();
        Assert.Equal(1, Run("a").Made);
        Assert.Equal([GenerationStage.Check, GenerationStage.Decode], Log.Stages);
        Assert.Equal(before, File.ReadAllBytes(Folder[name + ".png"]));

        // Latents of another recipe, and half a file, are of no use.
        File.Delete(Folder[name + ".png"]);
        Run(Rows(2, "a"));
        Assert.Contains(GenerationStage.Sample, Log.Stages);
        File.WriteAllText(Folder[name + ".latents.safetensors"], "half");
        Assert.Equal(1, Run("a").Made);
        Assert.Equal(before, File.ReadAllBytes(Folder[name + ".png"]));
    }

    [Fact]
    public void Shards_make_everything_between_them()
    {
        var rows = Rows(1, "a", "b", "c", "d", "e");
        Assert.Equal(3, Run(rows, new BatchOptions { Shard = new Shard(1, 2) }).Made);
        Assert.Equal(2, Run(rows, new BatchOptions { Shard = new Shard(2, 2) }).Made);
        Assert.Equal(5, Run(rows).Skipped);
    }

    [Fact]
    public void A_prompt_that_is_longer_than_theModel_reads_is_told()
    {
        var read = Model.DitConfig.TextLen;
        var longer = string.Join(' ', Enumerable.Repeat("a b", read));
        Run("a", longer);
        var (prompt, tokens, kept) = Assert.Single(Log.Cuts);
        Assert.Equal((longer, read), (prompt, kept));
        Assert.InRange(tokens, (2 * read) + 1, int.MaxValue);
    }

    [Fact]
    public void Latents_may_be_discarded()
    {
        Run(Rows(1, "a"), new BatchOptions { DiscardLatents = true });
        Assert.DoesNotContain(Folder.Files, file => file.EndsWith(".safetensors"));
        Assert.Contains("\"latents\": null", File.ReadAllText(Folder[Names("a")[0] + ".json"]));
        Assert.Equal(1, Run("a").Skipped);
    }
}
