using NablaGen.Jobs.Batch;
using NablaGen.Tests.Cli;

namespace NablaGen.Tests.Jobs.Batch;

/// <summary>Rows that fail, runs that are cancelled, and neighbours that take rows over.</summary>
public sealed class BatchFailureTests(GoldenModelFixture model) : SmallBatches(model)
{
    [Fact]
    public void A_finished_row_is_done_whatever_happens_to_what_is_said_of_it()
    {
        var reports = 0;
        Log.OnDone = _ =>
        {
            reports++;
            throw new IOException("Input/output error");
        };
        var runner = new BatchRunner(Pipeline, Folder.Path, new BatchOptions(), Log);
        Assert.Equal(new BatchSummary(3, 3, 0, 0), runner.Run(Rows(1, "a", "b", "c"), TestContext.Current.CancellationToken));
        Assert.Equal(1, reports);
        Assert.IsType<IOException>(runner.ReportFailure);
        Assert.DoesNotContain("failed", File.ReadAllText(Folder["manifest.jsonl"]));
        Log.OnDone = null;
        Log.OnRow = _ => throw new UnauthorizedAccessException();
        Assert.Equal(1, Run("d").Made);
    }

    [Fact]
    public void A_row_that_another_has_taken_over_is_not_recorded()
    {
        // It stood still after it began; the other takes the row over, makes it, and is gone.
        Log.OnRow = _ =>
        {
            Log.OnRow = null;
            foreach (var claim in Directory.GetFiles(Folder[".claims"]))
            {
                File.WriteAllText(claim.Replace(".1.claim", ".2.claim"), "");
            }
        };
        Log.OnWaiting = () =>
        {
            Log.OnWaiting = null;
            Directory.Delete(Folder[".claims"], recursive: true);
            Assert.False(File.Exists(Folder["manifest.jsonl"]));
            Assert.Equal(1, new BatchRunner(Pipeline, Folder.Path, new BatchOptions(), new BatchLog()).Run(Rows(1, "a"), TestContext.Current.CancellationToken).Made);
        };
        Assert.Equal(new BatchSummary(1, 0, 1, 0), Run("a"));
        Assert.Single(File.ReadAllLines(Folder["manifest.jsonl"]));
    }

    [Fact]
    public void What_killed_processes_left_in_theFolder_is_removed()
    {
        var litter = Folder[$"check.mp4.{NablaGen.Files.ProcessIdentity.Token.Split('-')[0]}-7fffffff-1-1.partial"];
        File.WriteAllText(litter, "x");
        Run("a");
        Assert.False(File.Exists(litter));
    }

    [Fact]
    public void A_failed_row_is_told_and_left_until_it_is_asked_for()
    {
        var blocked = Folder[Names("a", "b", "c")[1] + ".png"];
        Directory.CreateDirectory(blocked);
        Assert.Equal(new BatchSummary(3, 2, 0, 1), Run("a", "b", "c"));
        Assert.Contains("this is a folder", Log.Error);
        Assert.Contains(Log.Error!, Assert.IsType<NablaGenException>(Log.Cause).Message);
        Assert.Equal(["start 3", "row a", "done a", "row b", "failed b", "row c", "done c"], Log.Take());

        Directory.Delete(blocked);
        Assert.Equal(new BatchSummary(3, 0, 2, 1), Run("a", "b", "c"));
        Log.Take();
        Assert.Equal(new BatchSummary(3, 1, 2, 0), Run(Rows(1, "a", "b", "c"), new BatchOptions { RetryFailed = true }));
        Assert.Equal(["start 1", "skipped a", "skipped c", "row b", "done b"], Log.Take());
    }

    [Fact]
    public void Fail_fast_stops_at_the_first()
    {
        Directory.CreateDirectory(Folder[Names("a", "b", "c")[1] + ".png"]);
        var summary = Run(Rows(1, "a", "b", "c"), new BatchOptions { FailFast = true });
        Assert.Equal((1, 1, 1), (summary.Made, summary.Failed, summary.Left));

        // What failed before stops nothing.
        Assert.Equal(new BatchSummary(3, 1, 1, 1), Run(Rows(1, "a", "b", "c"), new BatchOptions { FailFast = true }));
    }

    [Fact]
    public void Cancelled_it_leaves_no_claim_and_goes_on_later()
    {
        using var cancellation = new CancellationTokenSource();
        Log.OnRow = row => { if (row.Number == 2) { cancellation.Cancel(); } };
        var runner = new BatchRunner(Pipeline, Folder.Path, new BatchOptions(), Log);
        Assert.Throws<OperationCanceledException>(() => runner.Run(Rows(1, "a", "b", "c"), cancellation.Token));
        Assert.Equal((1, 2), (runner.Summary.Made, runner.Summary.Left));
        Assert.DoesNotContain(Folder.Files, file => file.EndsWith(".claim") || file.EndsWith(".partial"));
        Log.OnRow = null;
        Assert.Equal(new BatchSummary(3, 2, 1, 0), Run("a", "b", "c"));
    }

    [Fact]
    public void A_row_that_fails_as_the_run_is_cancelled_is_not_told_as_failed()
    {
        using var cancellation = new CancellationTokenSource();
        Directory.CreateDirectory(Folder[Names("a")[0] + ".png"]);
        Log.OnRow = _ => cancellation.Cancel();
        var runner = new BatchRunner(Pipeline, Folder.Path, new BatchOptions(), Log);
        Assert.Throws<OperationCanceledException>(() => runner.Run(Rows(1, "a"), cancellation.Token));
        Assert.Equal((0, 1), (runner.Summary.Failed, runner.Summary.Left));
        Assert.Null(Log.Cause);
        Assert.DoesNotContain("failed", string.Concat(Folder.Files.Where(file => file.EndsWith(".jsonl")).Select(File.ReadAllText)));
    }
}
