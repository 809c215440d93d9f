using System.Diagnostics;
using NablaGen.Generation;
using NablaGen.Jobs.Batch;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Tests.Cli;

namespace NablaGen.Tests.Jobs.Batch;

/// <summary>Groups of GPUs that share a batch: who takes which row, and how what they tell becomes one batch's. Their processes are played by a shell.</summary>
public sealed class BatchGroupTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>
{
    private readonly IReadOnlyList<BatchRow> _rows = BatchPlan.Make(
        [.. Enumerable.Range(1, 5).Select(i => new PromptRow($"p:{i}", new PartialRequest { Prompt = $"prompt {i}", Seed = i }))],
        new PartialRequest { Steps = 1, Guidance = 1, Frames = 1, Width = 32, Height = 32 }, SeedPlan.Once, WanVideoModel.Open(model.Path));

    private readonly Log _log = new();

    [Fact]
    public void A_group_takes_its_own_rows_first_and_those_of_others_from_the_end()
    {
        int[] Order(int index, int count) => [.. new BatchGroup(index, count).Arrange(_rows).Select(row => row.Number)];

        Assert.Equal([1, 2, 3, 4, 5], Order(1, 1));
        Assert.Equal([1, 3, 5, 4, 2], Order(1, 2));
        Assert.Equal([2, 4, 5, 3, 1], Order(2, 2));
        Assert.Equal([3, 5, 4, 2, 1], Order(3, 3));
    }

    [Theory]
    [InlineData(null, 2, "2,3")]
    [InlineData("4,5,6,7", 2, "6,7")]
    [InlineData("GPU-a,GPU-b,GPU-c", 1, "GPU-b")]
    public void A_group_sees_its_own_devices(string? visible, int size, string devices) => Assert.Equal(devices, new BatchGroup(2, 4).Devices(visible, size));

    [Fact]
    public void Rows_of_two_groups_are_begun_and_counted_once()
    {
        var merge = new GroupMerge(_rows, 2, _log);
        // Row 1 was made before. Group 2 looks a moment later, when somebody else's process has made row 5.
        Take(merge, 1, told => told.OnStart([.. _rows.Skip(1)], new BatchSummary(5, 0, 1, 0)));
        Assert.False(merge.HasStarted);
        Take(merge, 2, told => told.OnStart([.. _rows.Skip(1).Take(3)], new BatchSummary(5, 0, 2, 0)));
        Assert.True(merge.HasStarted);
        foreach (var group in new[] { 1, 2 })
        {
            Take(merge, group, told =>
            {
                told.OnRowSkipped(_rows[0], Entry(1), new BatchSummary(5, 0, 1, 0));
                told.OnNote("of the plan");
            });
        }

        Take(merge, 2, told => told.OnRowSkipped(_rows[4], Entry(5), new BatchSummary(5, 0, 2, 0)));
        Take(merge, 1, told => told.OnRowStart(_rows[1]));
        Take(merge, 2, told => told.OnRowStart(_rows[2] with { Name = "another-2" }));
        Take(merge, 1, told => told.OnWait(1));
        Take(merge, 1, told => told.OnRowDone(_rows[1], Entry(2), new BatchSummary(5, 1, 1, 0)));
        Take(merge, 2, told =>
        {
            told.OnStage(GenerationStage.Sample, 4);
            told.OnProgress(3, 0.25);
            told.OnRowSkipped(_rows[1], Entry(2), new BatchSummary(5, 0, 3, 0));
            told.OnRowError(_rows[2], new NablaGenException("NaN"));
            told.OnRowFailed(_rows[2], Entry(3) with { State = RowState.Failed, Error = "NaN" }, new BatchSummary(5, 0, 3, 1));
        });
        // Group 1 sees what group 2 will tell in a moment.
        Take(merge, 1, told => told.OnRowSkipped(_rows[3], Entry(4), new BatchSummary(5, 1, 3, 0)));
        Take(merge, 2, told => told.OnRowStart(_rows[3]));
        Take(merge, 2, told => told.OnRowDone(_rows[3], Entry(4), new BatchSummary(5, 1, 3, 1)));
        merge.Finish();

        Assert.Equal(
            ["start 2 3 4 5", "1: skipped 1", "1: note of the plan", "1: begin 2", "2: begin 3 another-2", "1: done 2", "2: stage Sample 4", "2: step 3 0.25",
                "2: error NablaGen.NablaGenException: NaN", "2: failed 3 NaN", "2: begin 4", "2: done 4", "2: skipped 5"],
            _log.Lines);
        Assert.Equal((new BatchSummary(5, 2, 2, 1), true), (merge.Summary, merge.HasFailed));
    }

    [Fact]
    public void A_plan_of_the_memory_comes_over_whole()
    {
        var plan = new MemoryPlan
        {
            Budget = 1L << 40,
            IsTextEncoderOnDevice = true,
            Layers = 40,
            ResidentLayers = 12,
            Slots = 2,
            KeepsBoth = true,
            KeepsAll = false,
            HostBytes = 5,
            Vae = new VaeChoice(new VaeTiling(64, 48), 9),
            Peaks = new Dictionary<GenerationStage, long> { [GenerationStage.Sample] = 7 },
            SamplingTime = TimeSpan.FromSeconds(3),
        };
        var back = GroupEvent.Parse(new GroupEvent { Of = GroupEvent.Call.Plan, Plan = plan }.ToLine())!.Plan!;
        Assert.Equal(plan.Peaks, back.Peaks);
        Assert.Equal(plan, back with { Peaks = plan.Peaks });
        Assert.Null(GroupEvent.Parse("a library's word"));
        Assert.Null(GroupEvent.Parse("{ half"));
    }

    [Fact]
    public void Groups_begin_once_all_know_the_rows_and_end_with_their_work()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a shell's scripts");
        var summary = Run($"read p; {Says(told => told.OnStart(_rows, new BatchSummary(5, 0, 0, 0)))} read go; test \"$go\" = go || exit 1; {Says(Made(1))}", Working);
        Assert.Equal(new BatchSummary(5, 2, 0, 0), summary);
        Assert.Equal("start 1 2 3 4 5", _log.Lines[0]);
        Assert.Equal(["1: begin 1", "1: done 1", "2: begin 2", "2: done 2"], _log.Lines.Skip(1).Order());
    }

    [Theory]
    [InlineData("echo 'nablagen: rank 1 on x (process 7) ended' >&2; exit 1", @"^group 2 of 2: rank 1 on x \(process 7\) ended$")]
    [InlineData("kill -KILL $$", @"^group 2 of 2: process \d+ ended: exit code 137 \(signal 9\)$")]
    [InlineData("kill -STOP $$", @"^group 2 of 2: process \d+ has given no sign of life for 1 s$")]
    public void A_group_that_fails_ends_the_others_and_is_named(string end, string line)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a shell's scripts");
        var start = Says(told => told.OnStart(_rows, new BatchSummary(5, 0, 0, 0)));
        // The first would work on for ever, and stops where its input ends.
        var first = $"read p; {start} read go; {Says(Made(1))} (while sleep 0.2; do echo; done) & c=$!; read stop; kill $c; exit 130";
        Assert.Matches(line, Assert.Throws<NablaGenException>(() => Run(first, $"read p; {start} read go; {end}")).Message);
        Assert.Equal(1, _log.Summary!.Made);
    }

    [Fact]
    public void A_group_that_cannot_begin_says_why_without_its_number()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a shell's scripts");
        const string Bad = "read p; echo 'nablagen: the model is bad' >&2; exit 1";
        Assert.Equal("the model is bad", Assert.Throws<NablaGenException>(() => Run(Bad, Bad)).Message);
        Assert.Empty(_log.Lines);
    }

    [Fact]
    public void Fail_fast_and_cancellation_end_all_groups()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a shell's scripts");
        var start = Says(told => told.OnStart(_rows, new BatchSummary(5, 0, 0, 0)));
        var waits = $"read p; {start} read go; read stop; exit 130";
        var fails = $"read p; {start} read go; {Says(told => told.OnRowFailed(_rows[1], Entry(2) with { State = RowState.Failed, Error = "x" }, new BatchSummary(5, 0, 0, 1)))} read stop";
        Assert.Equal((1, 4), (Run(waits, fails, failFast: true).Failed, _log.Summary!.Left));

        using var cancellation = new CancellationTokenSource();
        _log.OnBegin = cancellation.Cancel;
        Assert.Throws<OperationCanceledException>(() => Run(waits, $"read p; {start} read go; {Says(told => told.OnRowStart(_rows[1]))} read stop", cancellation: cancellation.Token));
    }

    [Fact]
    public void A_leader_hears_the_prompts_the_word_to_go_and_the_end()
    {
        var prompts = new PromptSource([1, 2], "a.txt", ".txt");
        using var more = new AutoResetEvent(false);
        using var input = new GroupInput(new Pipe($"{System.Text.Encoding.UTF8.GetString(RowCall.Prompts(prompts))}\n", more), () => { }, TestContext.Current.CancellationToken);
        Assert.Equal(prompts.Bytes, input.Prompts.Bytes);
        Assert.Equal(("a.txt", ".txt"), (input.Prompts.Name, input.Prompts.Kind));
        more.Set();
        input.WaitToGo();
        Assert.False(input.Token.IsCancellationRequested);
        more.Set();
        Assert.True(input.Token.WaitHandle.WaitOne(TimeSpan.FromSeconds(20)));
    }

    private string Working => $"read p; {Says(told => told.OnStart(_rows, new BatchSummary(5, 0, 0, 0)))} read go; {Says(Made(2))}";

    private Action<IBatchProgress> Made(int row) => told =>
    {
        told.OnRowStart(_rows[row - 1]);
        told.OnRowDone(_rows[row - 1], Entry(row), new BatchSummary(5, 1, 0, 0));
    };

    private BatchSummary Run(string first, string second, bool failFast = false, CancellationToken? cancellation = null)
    {
        var groups = new BatchGroups(2, 2, new PromptSource([], "", ""), failFast, _log)
        {
            Silence = TimeSpan.FromSeconds(1),
            Start = (group, _, line) => GroupProcess.Start(
                new ProcessStartInfo("/bin/sh", ["-c", group.Index == 1 ? first : second]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true }, line),
        };
        try
        {
            return groups.Run(_rows, cancellation ?? TestContext.Current.CancellationToken);
        }
        finally
        {
            _log.Summary = groups.Summary;
        }
    }

    // What a group's process would print, as a shell prints it.
    private static string Says(Action<IBatchProgress> tell) => string.Concat(Lines(tell).Select(line => $"printf '%s\\n' '{line.Replace("'", "'\\''", StringComparison.Ordinal)}';"));

    private static string[] Lines(Action<IBatchProgress> tell)
    {
        using var output = new StringWriter();
        using var reporter = new GroupReporter(output, () => { });
        tell(reporter);
        return $"{output}".Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
    }

    private static void Take(GroupMerge merge, int group, Action<IBatchProgress> tell)
    {
        foreach (var line in Lines(tell))
        {
            merge.Take(group, GroupEvent.Parse(line)!);
        }
    }

    private ManifestEntry Entry(int row) => new()
    {
        Time = DateTimeOffset.UnixEpoch,
        Name = _rows[row - 1].Name,
        State = RowState.Done,
        Row = row,
        Where = $"p:{row}",
        Seconds = 1,
        Host = "x",
        Recipe = Recipe.Of(_rows[row - 1].Request, "m", "h", "cpu", "float32"),
    };

    // A line at once, one after the first signal, and the end after the next.
    private sealed class Pipe(string first, AutoResetEvent more) : TextReader
    {
        private int _read;

        public override string? ReadLine()
        {
            if (_read++ == 0)
            {
                return first.TrimEnd();
            }

            more.WaitOne();
            return _read == 2 ? "go" : null;
        }
    }

    private sealed class Log : IBatchProgress
    {
        private string _of = "";

        public List<string> Lines { get; } = [];

        public BatchSummary? Summary { get; set; }

        public Action? OnBegin { get; set; }

        public void OnGroup(int group, int groups) => _of = $"{group}: ";

        public void OnStart(IReadOnlyList<BatchRow> pending, BatchSummary soFar) => Lines.Add($"start {string.Join(' ', pending.Select(row => row.Number))}");

        public void OnRowStart(BatchRow row)
        {
            Lines.Add($"{_of}begin {row.Number}{(row.Name.StartsWith("another", StringComparison.Ordinal) ? $" {row.Name}" : "")}");
            OnBegin?.Invoke();
        }

        public void OnRowDone(BatchRow row, ManifestEntry entry, BatchSummary soFar) => Lines.Add($"{_of}done {row.Number}");

        public void OnRowError(BatchRow row, Exception error) => Lines.Add($"{_of}error {error}");

        public void OnRowFailed(BatchRow row, ManifestEntry entry, BatchSummary soFar) => Lines.Add($"{_of}failed {row.Number} {entry.Error}");

        public void OnRowSkipped(BatchRow row, ManifestEntry entry, BatchSummary soFar) => Lines.Add($"{_of}skipped {row.Number}");

        public void OnWait(int rows) => Lines.Add($"wait {rows}");

        public void OnNote(string note) => Lines.Add($"{_of}note {note}");

        public void OnStage(GenerationStage stage, int units) => Lines.Add($"{_of}stage {stage} {units}");

        public void OnProgress(int done, double? density) => Lines.Add(FormattableString.Invariant($"{_of}step {done} {density}"));
    }
}
