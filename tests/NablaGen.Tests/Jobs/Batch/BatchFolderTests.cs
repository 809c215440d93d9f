using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Jobs.Batch;
using NablaGen.Models.Wan;
using NablaGen.Tests.Cli;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Batch;

/// <summary>Somebody takes a batch's folder, or what is in it, away in the middle.</summary>
public sealed class BatchFolderTests : IClassFixture<GoldenModelFixture>, IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly WanVideoModel _model;
    private readonly TextToVideo _pipeline;

    public BatchFolderTests(GoldenModelFixture model)
    {
        _model = WanVideoModel.Open(model.Path);
        _pipeline = new TextToVideo(_model, CPU, ScalarType.Float32, keepLoaded: true);
    }

    public static TheoryData<string, string> Fates()
    {
        var all = new TheoryData<string, string>();
        string[] moments = ["row 2", "step", nameof(GenerationStage.Decode)];
        foreach (var fate in new[] { "deleted", "moved", "replaced", "a file", "parent deleted" })
        {
            // What is done to the folder is one thing, when another: each with each would take 15 s.
            foreach (var moment in fate == "deleted" ? moments : fate == "replaced" ? moments[..2] : moments[^1..])
            {
                all.Add(fate, moment);
            }
        }

        return all;
    }

    [Theory]
    [MemberData(nameof(Fates))]
    public void A_folder_that_is_taken_away_stops_the_batch_and_no_row_is_blamed(string fate, string moment)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows does not take away a folder whose files are in use");
        var runner = Runner(moment, () => TakeAway(fate));
        var error = Assert.ThrowsAny<NablaGenException>(() => runner.Run(Rows, TestContext.Current.CancellationToken)).Message;
        Assert.StartsWith(Videos + ": ", error);
        Assert.Contains("this is not the row's fault", error);
        Assert.Equal((1, 0), (runner.Summary.Made, runner.Summary.Failed));
        Assert.DoesNotContain("failed", Recorded());
        Assert.DoesNotContain(_folder.Files, file => file.EndsWith(".partial") || (file.EndsWith(".claim") && !file.Contains("elsewhere")));

        // The same again makes what is not there.
        if (File.Exists(Videos))
        {
            File.Delete(Videos);
        }

        var again = Run();
        Assert.Equal((3, 0), (again.Made + again.Skipped, again.Failed));
    }

    [Fact]
    public void Latents_that_went_with_the_folder_are_kept_elsewhere()
    {
        Assert.ThrowsAny<NablaGenException>(() => Runner(nameof(GenerationStage.Decode), () => TakeAway("a file")).Run(Rows, TestContext.Current.CancellationToken));
        Assert.True(File.Exists(Elsewhere));
    }

    [Theory]
    [InlineData("row 2")]
    [InlineData("step")]
    [InlineData(nameof(GenerationStage.Decode))]
    public void A_folder_that_is_emptied_stops_nothing(string moment)
    {
        var runner = Runner(moment, () =>
        {
            Directory.GetDirectories(Videos).ToList().ForEach(folder => Directory.Delete(folder, recursive: true));
            Directory.GetFiles(Videos).ToList().ForEach(File.Delete);
        });
        Assert.Equal(new BatchSummary(3, 3, 0, 0), runner.Run(Rows, TestContext.Current.CancellationToken));
        // The first row's video was deleted.
        Assert.Equal(new BatchSummary(3, 1, 2, 0), Run());
    }

    [Fact]
    public void A_folder_is_known_again()
    {
        Directory.CreateDirectory(Videos);
        using var known = new KnownFolder(Videos);
        File.WriteAllText(Path.Combine(Videos, "x"), "x");
        Assert.True(known.IsThere());
        TakeAway("moved");
        Assert.False(known.IsThere());
        Directory.Move(_folder["elsewhere"], Videos);
        Assert.True(known.IsThere());
        TakeAway("replaced");
        Assert.False(known.IsThere());
    }

    [Fact]
    public void What_the_surroundings_do_is_no_rows_fault()
    {
        using var home = new KnownFolder(_folder.Path);
        var faults = new RowFault(home, CPU);
        bool IsOfMachine(Exception error) => faults.IsOfMachine(error, Rows[0].Request, GenerationStage.Decode);

        Assert.True(IsOfMachine(new EnvironmentException("x")));
        Assert.True(IsOfMachine(new NablaGenException("cannot be written to the disk", new FileNotFoundException("x.partial"))));
        Assert.False(IsOfMachine(new NablaGenException("the latents contain NaN")));
    }

    public void Dispose()
    {
        File.Delete(Elsewhere);
        _pipeline.Dispose();
        _folder.Dispose();
    }

    private static string Elsewhere => Path.Combine(Path.GetTempPath(), $"nablagen-{ProcessIdentity.Token}.latents.safetensors");

    private string Videos => _folder["parent/videos"];

    private IReadOnlyList<BatchRow> Rows => BatchPlan.Make(
        [.. new[] { "a", "b", "c" }.Select((prompt, i) => new PromptRow($"p:{i + 1}", new PartialRequest { Prompt = prompt }))],
        new PartialRequest { Steps = 1, Guidance = 1, Frames = 1, Width = 32, Height = 32 },
        SeedPlan.Once, _model);

    private BatchSummary Run() => Runner("never", () => { }).Run(Rows, TestContext.Current.CancellationToken);

    // Acts once, at a moment of the second row or later.
    private BatchRunner Runner(string moment, Action act)
    {
        var isSecond = false;
        var progress = new SilentBatch
        {
            Look = seen =>
            {
                isSecond |= seen == "row 2";
                if (isSecond && seen == moment)
                {
                    moment = "never";
                    act();
                }
            },
        };
        return new BatchRunner(_pipeline, Videos, new BatchOptions(), progress);
    }

    private void TakeAway(string fate)
    {
        if (fate is "moved" or "replaced")
        {
            Directory.Move(Videos, _folder["elsewhere"]);
        }
        else
        {
            Directory.Delete(fate == "parent deleted" ? _folder["parent"] : Videos, recursive: true);
        }

        if (fate == "replaced")
        {
            Directory.CreateDirectory(Videos);
        }
        else if (fate == "a file")
        {
            File.WriteAllText(Videos, "");
        }
    }

    private string Recorded() => string.Concat(_folder.Files.Where(file => file.EndsWith(".jsonl")).Select(File.ReadAllText));
}
