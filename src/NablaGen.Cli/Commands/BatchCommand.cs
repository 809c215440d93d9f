using System.CommandLine;
using NablaGen.Cli.Output;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Batch;
using static TorchSharp.torch;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen batch</c>: many prompts → many videos, with the model read once.</summary>
internal sealed class BatchCommand
{
    public const string Example = "batch prompts.csv --output-dir videos --threshold 0.95 --seeds 1-4";

    private readonly Argument<string> _file = new("FILE")
    {
        Description = "Prompts: .txt (one a line, # comments), or .jsonl or .csv with prompt and any option below that says what to make, how much, which attention "
            + "or which LoRA, VAE, text encoder, tokenizer or image encoder, as a key or column; a row's own values override the command line; - is standard input",
    };

    private readonly Option<string> _outputDir = new("--output-dir", "-o")
    {
        Description = "Folder for the videos and manifest.jsonl",
        HelpName = "DIR",
        Required = true,
    };

    private readonly Option<string?> _seeds = new("--seeds")
    {
        Description = "Make each row that has no seed with each of these: 1-4 or 1,5,9",
        HelpName = "LIST",
    };

    private readonly Option<int?> _repeat = new("--repeat")
    {
        Description = "Make each row N times, with seeds that count up or are derived",
        HelpName = "N",
    };

    private readonly Option<bool> _retryFailed = new("--retry-failed") { Description = "Make again the rows that failed in an earlier run" };
    private readonly Option<bool> _failFast = new("--fail-fast") { Description = "Stop at the first row that fails" };
    private readonly Option<bool> _verify = new("--verify") { Description = "Compare the hash of finished videos, not only their size" };
    private readonly Option<bool> _discardLatents = new("--discard-latents") { Description = "Remove a row's latents once its video is made" };
    private readonly Option<string?> _shard = new("--shard")
    {
        Description = "Make part i of n [default: from SLURM_ARRAY_TASK_ID, or JOB_COMPLETION_INDEX with NABLAGEN_SHARD_COUNT; otherwise all]",
        HelpName = "i/n",
    };

    private readonly Option<bool> _json = new("--json") { Description = "Print events as JSON lines" };
    private readonly GenerationOptions _options = new();

    private readonly ModelOptions _model = new();
    private readonly RankOptions _ranks = new(isOwn: true);

    public static Command Create()
    {
        var self = new BatchCommand();
        self._options[RequestFields.Seed].Description = "Seed of every row that has none [default: derived from the prompt, the same each time]";
        var command = new Command("batch", "Make a video of each row of a file; run again, it makes what is missing.")
        {
            self._file, self._outputDir, self._seeds, self._repeat, self._shard, self._retryFailed, self._failFast, self._verify,
            self._discardLatents, self._json, self._model.Model,
        };
        self._options.AddTo(command, except: RequestFields.Prompt);
        command.Add(self._options.PresetName);
        command.Add(self._model.Device);
        command.Add(self._model.Dtype);
        self._model.Precision.AddTo(command);
        command.Add(self._model.Vram);
        command.Add(self._ranks.Gpus);
        LongJob.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var shared = _options.Read(parsed);
        var seeds = Seeds(parsed, shared);
        var shard = parsed.GetValue(_shard) is { } text ? Shard.Parse(text) : Shard.FromEnvironment(Environment.GetEnvironmentVariable);
        var choice = _ranks.Read(parsed, _model.Device);
        if (choice is { IsHelper: true })
        {
            return Help(parsed, choice, shared, seeds, cancellation);
        }

        var options = new BatchOptions
        {
            Shard = shard,
            RetryFailed = parsed.GetValue(_retryFailed),
            FailFast = parsed.GetValue(_failFast),
            Verify = parsed.GetValue(_verify),
            DiscardLatents = parsed.GetValue(_discardLatents),
            Group = (choice is null ? null : RankOptions.Group()) ?? BatchGroup.Whole,
        };
        return options.Group.Count > 1 ? Lead(parsed, choice!, options, shared, seeds, cancellation) : Run(parsed, choice, options, shared, seeds, cancellation);
    }

    private int Run(ParseResult parsed, RankChoice? choice, BatchOptions options, PartialRequest shared, SeedPlan seeds, CancellationToken cancellation)
    {
        var prompts = PromptFile.Open(parsed.GetValue(_file)!);
        var (models, rows) = Plan(parsed, prompts, shared, seeds);
        var outputDir = parsed.GetValue(_outputDir)!;
        BatchRunner.CheckFolder(outputDir);

        using var pipelines = Pipelines(parsed, models);
        var size = Split(choice, pipelines, rows);
        var groups = choice?.GroupsOn(pipelines.Device) ?? 1;
        if (choice?.IdleOn(pipelines.Device) is > 0 and var idle)
        {
            CommandRunner.Warn($"{(idle == 1 ? "1 GPU is" : $"{idle} GPUs are")} left over, for {(groups == 1 ? "the group has" : $"each of the {groups} groups has")} {size}");
        }

        using var ranks = groups == 1 ? Ranks(choice, size, pipelines.Device, prompts, cancellation) : null;
        if (LongJob.Current is { } job)
        {
            job.Output = Path.GetFullPath(outputDir);
        }

        var json = parsed.GetValue(_json) ? new BatchJson(Console.Out, options.Shard) : null;
        IBatchRun Create(IBatchProgress progress) => groups == 1
            ? new BatchRunner(pipelines, outputDir, options with { Ranks = ranks }, progress)
            : new BatchGroups(groups, size, prompts, options.FailFast, progress);

        var summary = Run(Create, rows, outputDir, json, options.Shard, cancellation);
        if (summary.Failed == 0)
        {
            return ExitCode.Done;
        }

        var line = $"{summary.Failed} of {BatchText.Rows(summary.Rows)} failed; the manifest in {outputDir} says why, --retry-failed makes them again";
        Console.Error.WriteLine($"nablagen: {line}");
        if (LongJob.Current is { } failed)
        {
            failed.Problem = line;
        }

        return ExitCode.Failed;
    }

    private (RowModels Models, IReadOnlyList<BatchRow> Rows) Plan(ParseResult parsed, PromptSource source, PartialRequest shared, SeedPlan seeds)
    {
        var preset = _options.Preset(parsed);
        var prompts = PromptFile.Read(source);
        var said = new HashSet<string>();
        var models = RowModels.Open(prompts, shared, pieces => ModelLocator.Open(parsed.GetValue(_model.Model), pieces, said));
        shared = preset is null ? shared : shared.Over(preset.Values, models.All[0].Defaults);
        return (models, BatchPlan.Make(prompts, shared, seeds, models));
    }

    private RowPipelines Pipelines(ParseResult parsed, RowModels models) => new(models, model => _model.Pipeline(parsed, model.Model, keepLoaded: true));

    // GPUs that make a row together.
    private static int Split(RankChoice? choice, RowPipelines pipelines, IReadOnlyList<BatchRow> rows)
    {
        var size = choice?.CountOn(pipelines.Device) ?? 1;
        if (size > 1)
        {
            pipelines.SplitOver(size, rows);
        }

        return size;
    }

    // The other ranks are started with the first row that has to be sampled.
    private static RowRanks? Ranks(RankChoice? choice, int size, Device device, PromptSource prompts, CancellationToken cancellation) =>
        size == 1 ? null : RankOptions.Rows(() => choice!.Open(device, null, cancellation)!, prompts);

    // The first rank of one of several groups: the process that started it tells of the rows.
    private int Lead(ParseResult parsed, RankChoice choice, BatchOptions options, PartialRequest shared, SeedPlan seeds, CancellationToken cancellation)
    {
        using var input = new GroupInput(
            new StreamReader(Console.OpenStandardInput()), () => Interruption.Leave(ExitCode.Cancelled, "cancelled", null), cancellation);
        using var output = new StreamWriter(Console.OpenStandardOutput());
        using var progress = new GroupReporter(output, input.WaitToGo);
        try
        {
            var (models, rows) = Plan(parsed, input.Prompts, shared, seeds);
            using var pipelines = Pipelines(parsed, models);
            using var ranks = Ranks(choice, Split(choice, pipelines, rows), pipelines.Device, input.Prompts, input.Token);
            new BatchRunner(pipelines, parsed.GetValue(_outputDir)!, options with { Ranks = ranks }, progress).Run(rows, input.Token);
            return ExitCode.Done;
        }
        catch (OperationCanceledException) when (input.Token.IsCancellationRequested)
        {
            return ExitCode.Cancelled;
        }
    }

    // Another rank: it gets the prompt file from rank 0, for that alone can read standard input, and a file may change.
    private int Help(ParseResult parsed, RankChoice choice, PartialRequest shared, SeedPlan seeds, CancellationToken cancellation)
    {
        var device = _model.DeviceOf(parsed);
        using var job = choice.Open(device, null, cancellation)!;
        return RankOptions.Help(
            job,
            () =>
            {
                var (models, rows) = Plan(parsed, RowHelper.Receive(job.World), shared, seeds);
                using var pipelines = Pipelines(parsed, models);
                RowHelper.Follow(job.World, rows, pipelines, cancellation);
            },
            cancellation);
    }

    // Also a batch that is cut off says how its rows stand.
    private static BatchSummary Run(
        Func<IBatchProgress, IBatchRun> create, IReadOnlyList<BatchRow> rows, string folder, BatchJson? json, Shard shard, CancellationToken cancellation)
    {
        IBatchRun? runner = null;
        BatchSummary Work(IBatchProgress progress)
        {
            runner = create(LongJob.Current?.Log is { } log ? new LoggedBatch(progress, log, shard) : progress);
            return runner.Run(rows, cancellation);
        }

        var state = "failed";
        try
        {
            var summary = json is not null ? Work(json) : ProgressReport.IsInteractive ? BatchBars.Run(shard, Work) : Work(new BatchLines(Console.Out, shard));
            state = summary.Failed == 0 ? "done" : "failed";
            return summary;
        }
        catch (OperationCanceledException)
        {
            state = "cancelled";
            throw;
        }
        finally
        {
            if (runner?.ReportFailure is { } unreported)
            {
                CommandRunner.Warn($"the rows' progress was not shown to the end: {unreported.Message}");
            }

            // Where it could not even begin, the error alone says more.
            if (runner?.Summary is { } reached && (state == "done" || reached.Made + reached.Failed > 0 || (state == "cancelled" && reached.Rows > 0)))
            {
                LongJob.Current?.Log?.Write("batch", BatchText.End(reached, folder));
                if (json is null)
                {
                    Console.WriteLine(BatchText.End(reached, folder));
                }
            }

            json?.End(runner?.Summary ?? new BatchSummary(rows.Count, 0, 0, 0), state);
        }
    }

    private SeedPlan Seeds(ParseResult parsed, PartialRequest shared)
    {
        var (list, repeat) = (parsed.GetValue(_seeds), parsed.GetValue(_repeat));
        if (list is not null && (repeat is not null || shared.Seed is not null))
        {
            throw new InvalidRequestException($"--seeds and {(repeat is null ? "--seed" : "--repeat")} both say which seeds to use: give one of them");
        }

        return list is not null ? SeedPlan.Parse(list) : repeat is { } count ? SeedPlan.Repeat(count) : SeedPlan.Once;
    }
}
