using System.Security.Cryptography;
using NablaGen.Generation;
using NablaGen.Jobs.Batch;
using NablaGen.Models.Wan;
using NablaGen.Tests.Cli;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Batch;

/// <summary>Batches in this process: one-frame videos, which are pictures and need no ffmpeg.</summary>
public sealed class BatchRunnerTests : IClassFixture<GoldenModelFixture>, IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly WanVideoModel _model;
    private readonly TextToVideo _pipeline;
    private readonly Log _log = new();

    public BatchRunnerTests(GoldenModelFixture model)
    {
        _model = WanVideoModel.Open(model.Path);
        _pipeline = new TextToVideo(_model, CPU, ScalarType.Float32, keepLoaded: true);
    }

    [Fact]
    public void Rows_are_made_once_and_skipped_afterwards()
    {
        Assert.Equal(new BatchSummary(3, 3, 0, 0), Run("a", "b", "猫"));
        Assert.Equal(["start 3", "row a", "done a", "row b", "done b", "row 猫", "done 猫"], _log.Take());
        var entry = new BatchManifest(_folder.Path, Shard.Whole).Find(Names("a", "b", "猫")[2])!;
        var video = File.ReadAllBytes(_folder[entry.Video!]);
        Assert.Equal((Convert.ToHexStringLower(SHA256.HashData(video)), video.Length), (entry.Sha256, entry.Bytes));
        Assert.Equal((3, "p:3", RowState.Done, "猫"), (entry.Row, entry.Where, entry.State, entry.Recipe.Prompt));

        Assert.Equal(new BatchSummary(3, 0, 3, 0), Run("a", "b", "猫"));
        Assert.Equal(["start 0", "skipped a", "skipped b", "skipped 猫"], _log.Take());
        Assert.DoesNotContain(_folder.Files, file => file.EndsWith(".partial") || file.EndsWith(".claim"));
    }

    [Fact]
    public void A_prompt_that_is_not_pending_is_not_encoded()
    {
        Run("a", "b");
        _log.Encoded = 0;
        Run("a", "b", "c");
        Assert.Equal(1, _log.Encoded);
    }

    [Fact]
    public void Prompts_are_encoded_some_rows_ahead()
    {
        var rows = Rows(1, "a", "b", "c", "d", "e");
        var runner = new BatchRunner(_pipeline, _folder.Path, new BatchOptions(), _log) { WindowSize = 2 };
        Assert.Equal(5, runner.Run(rows).Made);
        Assert.Equal((3, 5), (_log.Stages.Count(stage => stage == GenerationStage.EncodeText), _log.Encoded));

        // As if all had been encoded at once.
        var windowed = rows.Select(row => File.ReadAllBytes(_folder[row.Name + ".png"])).ToList();
        rows.ToList().ForEach(row => File.Delete(_folder[row.Name + ".png"]));
        rows.ToList().ForEach(row => File.Delete(_folder[row.Name + ".latents.safetensors"]));
        Run(rows);
        Assert.Equal(windowed, rows.Select(row => File.ReadAllBytes(_folder[row.Name + ".png"])));
    }

    [Fact]
    public void Another_option_makes_new_names_and_a_changed_video_is_made_again()
    {
        Run("a", "b", "c");
        var names = Names("a", "b", "c");
        var first = names.Select(name => File.ReadAllBytes(_folder[name + ".png"])).ToList();
        // A name does not tell of the steps, and what has it stays.
        Assert.Equal(3, Run(Rows(2, "a", "b", "c")).Made);
        Assert.Equal(first, names.Select(name => File.ReadAllBytes(_folder[name + ".png"])));
        Assert.All(names, name => Assert.True(File.Exists(_folder[name + "-2.png"]) && File.Exists(_folder[name + "-2.latents.safetensors"])));
        Assert.Equal(3, Run("a", "b", "c").Skipped);
        Assert.Equal(3, Run(Rows(2, "a", "b", "c")).Skipped);
        Assert.Equal(3, Run(Rows(3, "a", "b", "c")).Made);
        Assert.True(File.Exists(_folder[names[2] + "-3.png"]));
        _log.Take();

        File.AppendAllText(_folder[names[0] + "-2.png"], "x");
        var same = File.ReadAllBytes(_folder[names[1] + "-2.png"]);
        same[^1] ^= 1;
        File.WriteAllBytes(_folder[names[1] + "-2.png"], same);
        Run(Rows(2, "a", "b", "c"));
        Assert.Equal(["start 1", "skipped b", "skipped c", "row a", "done a"], _log.Take());
        Run(Rows(2, "a", "b", "c"), new BatchOptions { Verify = true });
        Assert.Equal(["start 1", "skipped a", "skipped c", "row b", "done b"], _log.Take());
    }

    [Fact]
    public void A_row_that_was_moved_is_not_made_again()
    {
        Run("a", "b", "c");
        _log.Take();
        Assert.Equal(new BatchSummary(4, 1, 3, 0), Run("new", "a", "b", "c"));
        Assert.Equal(["start 1", "skipped a", "skipped b", "skipped c", "row new", "done new"], _log.Take());
        Assert.Equal(2, Run("c", "a").Skipped);
        Assert.Equal(4, _folder.Files.Count(file => file.EndsWith(".png")));
        // Whichever shard made it.
        Assert.Equal(1, Run(Rows(1, "c", "a"), new BatchOptions { Shard = new Shard(1, 2) }).Skipped);
        // What failed under another number has failed, too.
        Directory.CreateDirectory(_folder[Names("new", "d")[1] + ".png"]);
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
        File.Delete(_folder[rows[1].Name + ".png"]);
        Assert.Equal(new BatchSummary(3, 1, 2, 0), Run(rows));
        Assert.Equal(3, _folder.Files.Count(file => file.EndsWith(".png")));
    }

    [Fact]
    public void Files_of_a_rows_name_that_are_not_its_own_stay()
    {
        var name = Names("a")[0];
        File.WriteAllText(_folder[name + ".png"], "a stranger's");
        Assert.Equal(1, Run("a").Made);
        Assert.Equal("a stranger's", File.ReadAllText(_folder[name + ".png"]));
        Assert.True(File.Exists(_folder[name + "-2.png"]));
        // Latents of another recipe, whose video was not made.
        Run(Rows(2, "b"));
        var latents = Names("b")[0] + ".latents.safetensors";
        var saved = File.ReadAllBytes(_folder[latents]);
        File.Delete(_folder[Names("b")[0] + ".png"]);
        Run("b");
        Assert.Equal(saved, File.ReadAllBytes(_folder[latents]));
    }

    [Fact]
    public void A_finished_row_is_done_whatever_happens_to_what_is_said_of_it()
    {
        var reports = 0;
        _log.OnDone = _ =>
        {
            reports++;
            throw new IOException("Input/output error");
        };
        var runner = new BatchRunner(_pipeline, _folder.Path, new BatchOptions(), _log);
        Assert.Equal(new BatchSummary(3, 3, 0, 0), runner.Run(Rows(1, "a", "b", "c"), TestContext.Current.CancellationToken));
        Assert.Equal(1, reports);
        Assert.IsType<IOException>(runner.ReportFailure);
        Assert.DoesNotContain("failed", File.ReadAllText(_folder["manifest.jsonl"]));
        _log.OnDone = null;
        _log.OnRow = _ => throw new UnauthorizedAccessException();
        Assert.Equal(1, Run("d").Made);
    }

    [Fact]
    public void A_row_that_another_has_taken_over_is_not_recorded()
    {
        // It stood still after it began; the other takes the row over, makes it, and is gone.
        _log.OnRow = _ =>
        {
            _log.OnRow = null;
            foreach (var claim in Directory.GetFiles(_folder[".claims"]))
            {
                File.WriteAllText(claim.Replace(".1.claim", ".2.claim"), "");
            }
        };
        _log.OnWaiting = () =>
        {
            _log.OnWaiting = null;
            Directory.Delete(_folder[".claims"], recursive: true);
            Assert.False(File.Exists(_folder["manifest.jsonl"]));
            Assert.Equal(1, new BatchRunner(_pipeline, _folder.Path, new BatchOptions(), new Log()).Run(Rows(1, "a"), TestContext.Current.CancellationToken).Made);
        };
        Assert.Equal(new BatchSummary(1, 0, 1, 0), Run("a"));
        Assert.Single(File.ReadAllLines(_folder["manifest.jsonl"]));
    }

    [Fact]
    public void What_killed_processes_left_in_the_folder_is_removed()
    {
        var litter = _folder[$"check.mp4.{NablaGen.Files.ProcessIdentity.Token.Split('-')[0]}-7fffffff-1-1.partial"];
        File.WriteAllText(litter, "x");
        Run("a");
        Assert.False(File.Exists(litter));
    }

    [Fact]
    public void Without_its_video_a_row_is_decoded_from_its_latents()
    {
        Run("a");
        var name = Names("a")[0];
        var before = File.ReadAllBytes(_folder[name + ".png"]);
        File.Delete(_folder[name + ".png"]);
        _log.Stages.Clear();
        Assert.Equal(1, Run("a").Made);
        Assert.Equal([GenerationStage.Check, GenerationStage.Decode], _log.Stages);
        Assert.Equal(before, File.ReadAllBytes(_folder[name + ".png"]));

        // Latents of another recipe, and half a file, are of no use.
        File.Delete(_folder[name + ".png"]);
        Run(Rows(2, "a"));
        Assert.Contains(GenerationStage.Sample, _log.Stages);
        File.WriteAllText(_folder[name + ".latents.safetensors"], "half");
        Assert.Equal(1, Run("a").Made);
        Assert.Equal(before, File.ReadAllBytes(_folder[name + ".png"]));
    }

    [Fact]
    public void A_failed_row_is_told_and_left_until_it_is_asked_for()
    {
        var blocked = _folder[Names("a", "b", "c")[1] + ".png"];
        Directory.CreateDirectory(blocked);
        Assert.Equal(new BatchSummary(3, 2, 0, 1), Run("a", "b", "c"));
        Assert.Contains("this is a folder", _log.Error);
        Assert.Contains(_log.Error!, Assert.IsType<NablaGenException>(_log.Cause).Message);
        Assert.Equal(["start 3", "row a", "done a", "row b", "failed b", "row c", "done c"], _log.Take());

        Directory.Delete(blocked);
        Assert.Equal(new BatchSummary(3, 0, 2, 1), Run("a", "b", "c"));
        _log.Take();
        Assert.Equal(new BatchSummary(3, 1, 2, 0), Run(Rows(1, "a", "b", "c"), new BatchOptions { RetryFailed = true }));
        Assert.Equal(["start 1", "skipped a", "skipped c", "row b", "done b"], _log.Take());
    }

    [Fact]
    public void Fail_fast_stops_at_the_first()
    {
        Directory.CreateDirectory(_folder[Names("a", "b", "c")[1] + ".png"]);
        var summary = Run(Rows(1, "a", "b", "c"), new BatchOptions { FailFast = true });
        Assert.Equal((1, 1, 1), (summary.Made, summary.Failed, summary.Left));

        // What failed before stops nothing.
        Assert.Equal(new BatchSummary(3, 1, 1, 1), Run(Rows(1, "a", "b", "c"), new BatchOptions { FailFast = true }));
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
    public void Cancelled_it_leaves_no_claim_and_goes_on_later()
    {
        using var cancellation = new CancellationTokenSource();
        _log.OnRow = row => { if (row.Number == 2) { cancellation.Cancel(); } };
        var runner = new BatchRunner(_pipeline, _folder.Path, new BatchOptions(), _log);
        Assert.Throws<OperationCanceledException>(() => runner.Run(Rows(1, "a", "b", "c"), cancellation.Token));
        Assert.Equal((1, 2), (runner.Summary.Made, runner.Summary.Left));
        Assert.DoesNotContain(_folder.Files, file => file.EndsWith(".claim") || file.EndsWith(".partial"));
        _log.OnRow = null;
        Assert.Equal(new BatchSummary(3, 2, 1, 0), Run("a", "b", "c"));
    }

    [Fact]
    public void A_row_that_fails_as_the_run_is_cancelled_is_not_told_as_failed()
    {
        using var cancellation = new CancellationTokenSource();
        Directory.CreateDirectory(_folder[Names("a")[0] + ".png"]);
        _log.OnRow = _ => cancellation.Cancel();
        var runner = new BatchRunner(_pipeline, _folder.Path, new BatchOptions(), _log);
        Assert.Throws<OperationCanceledException>(() => runner.Run(Rows(1, "a"), cancellation.Token));
        Assert.Equal((0, 1), (runner.Summary.Failed, runner.Summary.Left));
        Assert.Null(_log.Cause);
        Assert.DoesNotContain("failed", string.Concat(_folder.Files.Where(file => file.EndsWith(".jsonl")).Select(File.ReadAllText)));
    }

    [Fact]
    public void A_prompt_that_is_longer_than_the_model_reads_is_told()
    {
        var read = _model.DitConfig.TextLen;
        var longer = string.Join(' ', Enumerable.Repeat("a b", read));
        Run("a", longer);
        var (prompt, tokens, kept) = Assert.Single(_log.Cuts);
        Assert.Equal((longer, read), (prompt, kept));
        Assert.InRange(tokens, (2 * read) + 1, int.MaxValue);
    }

    [Fact]
    public void Latents_may_be_discarded()
    {
        Run(Rows(1, "a"), new BatchOptions { DiscardLatents = true });
        Assert.DoesNotContain(_folder.Files, file => file.EndsWith(".safetensors"));
        Assert.Contains("\"latents\": null", File.ReadAllText(_folder[Names("a")[0] + ".json"]));
        Assert.Equal(1, Run("a").Skipped);
    }

    public void Dispose()
    {
        _pipeline.Dispose();
        _folder.Dispose();
    }

    private IReadOnlyList<BatchRow> Rows(int steps, params string[] prompts) => BatchPlan.Make(
        [.. prompts.Select((prompt, i) => new PromptRow($"p:{i + 1}", new PartialRequest { Prompt = prompt }))],
        new PartialRequest { Steps = steps, Guidance = 1, Frames = 1, Width = 32, Height = 32 },
        SeedPlan.Once, _model);

    private IReadOnlyList<BatchRow> Alike(int count) => BatchPlan.Make(
        [.. Enumerable.Range(1, count).Select(i => new PromptRow($"p:{i}", new PartialRequest { Prompt = "x", Seed = 5 }))],
        new PartialRequest { Steps = 1, Guidance = 1, Frames = 1, Width = 32, Height = 32 },
        SeedPlan.Once, _model);

    private List<string> Names(params string[] prompts) => [.. Rows(1, prompts).Select(row => row.Name)];

    private BatchSummary Run(params string[] prompts) => Run(Rows(1, prompts));

    private BatchSummary Run(IReadOnlyList<BatchRow> rows, BatchOptions? options = null) =>
        new BatchRunner(_pipeline, _folder.Path, options ?? new BatchOptions(), _log).Run(rows, TestContext.Current.CancellationToken);

    private sealed class Log : IBatchProgress
    {
        private readonly List<string> _lines = [];

        public List<GenerationStage> Stages { get; } = [];

        public int Encoded { get; set; }

        public string? Error { get; private set; }

        public Exception? Cause { get; private set; }

        public List<(string Prompt, int Tokens, int Read)> Cuts { get; } = [];

        public Action<BatchRow>? OnRow { get; set; }

        public IReadOnlyList<string> Take()
        {
            string[] lines = [.. _lines];
            _lines.Clear();
            return lines;
        }

        public void OnStart(IReadOnlyList<BatchRow> pending, BatchSummary soFar) => _lines.Add($"start {pending.Count}");

        public void OnRowStart(BatchRow row)
        {
            _lines.Add($"row {row.Request.Prompt}");
            OnRow?.Invoke(row);
        }

        public Action<BatchRow>? OnDone { get; set; }

        public Action? OnWaiting { get; set; }

        public void OnRowDone(BatchRow row, ManifestEntry entry, BatchSummary soFar)
        {
            OnDone?.Invoke(row);
            _lines.Add($"done {row.Request.Prompt}");
        }

        public void OnRowError(BatchRow row, Exception error) => Cause = error;

        public void OnCut(string prompt, int tokens, int read) => Cuts.Add((prompt, tokens, read));

        public void OnRowFailed(BatchRow row, ManifestEntry entry, BatchSummary soFar)
        {
            _lines.Add($"failed {row.Request.Prompt}");
            Error = entry.Error;
        }

        public void OnRowSkipped(BatchRow row, ManifestEntry entry, BatchSummary soFar) => _lines.Add($"skipped {row.Request.Prompt}");

        public void OnWait(int rows)
        {
            OnWaiting?.Invoke();
            _lines.Add($"wait {rows}");
        }

        public void OnStage(GenerationStage stage, int units)
        {
            Stages.Add(stage);
            Encoded += stage == GenerationStage.EncodeText ? units : 0;
        }

        public void OnProgress(int done, double? density)
        {
        }
    }
}
