using NablaGen.Jobs.Batch;
using NablaGen.Tests.Cli;

namespace NablaGen.Tests.Jobs.Batch;

/// <summary>Which file is a row's: rows of other options, of other places, and alike; files that are none of theirs.</summary>
public sealed class BatchNameTests(GoldenModelFixture model) : SmallBatches(model)
{
    [Fact]
    public void Another_option_makes_new_names_and_a_changed_video_is_made_again()
    {
        Run("a", "b", "c");
        var names = Names("a", "b", "c");
        var first = names.Select(name => File.ReadAllBytes(Folder[name + ".png"])).ToList();
        // A name does not tell of the steps, and what has it stays.
        Assert.Equal(3, Run(Rows(2, "a", "b", "c")).Made);
        Assert.Equal(first, names.Select(name => File.ReadAllBytes(Folder[name + ".png"])));
        Assert.All(names, name => Assert.True(File.Exists(Folder[name + "-2.png"]) && File.Exists(Folder[name + "-2.latents.safetensors"])));
        Assert.Equal(3, Run("a", "b", "c").Skipped);
        Assert.Equal(3, Run(Rows(2, "a", "b", "c")).Skipped);
        Assert.Equal(3, Run(Rows(3, "a", "b", "c")).Made);
        Assert.True(File.Exists(Folder[names[2] + "-3.png"]));
        Log.Take();

        File.AppendAllText(Folder[names[0] + "-2.png"], "x");
        var same = File.ReadAllBytes(Folder[names[1] + "-2.png"]);
        same[^1] ^= 1;
        File.WriteAllBytes(Folder[names[1] + "-2.png"], same);
        Run(Rows(2, "a", "b", "c"));
        Assert.Equal(["start 1", "skipped b", "skipped c", "row a", "done a"], Log.Take());
        Run(Rows(2, "a", "b", "c"), new BatchOptions { Verify = true });
        Assert.Equal(["start 1", "skipped a", "skipped c", "row b", "done b"], Log.Take());
    }

    [Fact]
    public void A_row_that_was_moved_is_not_made_again()
    {
        Run("a", "b", "c");
        Log.Take();
        Assert.Equal(new BatchSummary(4, 1, 3, 0), Run("new", "a", "b", "c"));
        Assert.Equal(["start 1", "skipped a", "skipped b", "skipped c", "row new", "done new"], Log.Take());
        Assert.Equal(2, Run("c", "a").Skipped);
        Assert.Equal(4, Folder.Files.Count(file => file.EndsWith(".png")));
        // Whichever shard made it.
        Assert.Equal(1, Run(Rows(1, "c", "a"), new BatchOptions { Shard = new Shard(1, 2) }).Skipped);
        // What failed under another number has failed, too.
        Directory.CreateDirectory(Folder[Names("new", "d")[1] + ".png"]);
        Assert.Equal(1, Run("new", "d").Failed);
        Assert.Equal(new BatchSummary(1, 0, 0, 1), Run("d"));
    }

    [Fact]
    public void Rows_that_are_alike_have_a_video_each()
    {
        var rows = Alike(3);
        Assert.Equal(3, Run(rows).Made);
        Assert.Equal(3, Run(rows).Skipped);
        Assert.Equal(2, Run(rows, new BatchOptions { Shard = new Shard(1, 2) }).Skipped);
        File.Delete(Folder[rows[1].Name + ".png"]);
        Assert.Equal(new BatchSummary(3, 1, 2, 0), Run(rows));
        Assert.Equal(3, Folder.Files.Count(file => file.EndsWith(".png")));
    }

    [Fact]
    public void Files_of_a_rows_name_that_are_not_its_own_stay()
    {
        var name = Names("a")[0];
        File.WriteAllText(Folder[name + ".png"], "a stranger's");
        Assert.Equal(1, Run("a").Made);
        Assert.Equal("a stranger's", File.ReadAllText(Folder[name + ".png"]));
        Assert.True(File.Exists(Folder[name + "-2.png"]));
        // Latents of another recipe, whose video was not made.
        Run(Rows(2, "b"));
        var latents = Names("b")[0] + ".latents.safetensors";
        var saved = File.ReadAllBytes(Folder[latents]);
        File.Delete(Folder[Names("b")[0] + ".png"]);
        Run("b");
        Assert.Equal(saved, File.ReadAllBytes(Folder[latents]));
    }
}
