using System.CommandLine;
using NablaGen.Cli.Output;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Batch;
using NablaGen.Models;
using NablaGen.Tensors;
using NablaGen.Training.Evaluation.Generation;
using NablaGen.Training.Evaluation.Results;
using NablaGen.Training.Evaluation.Running;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen evaluate</c>: a fixed suite of prompts with several attentions, measured on the frames.</summary>
internal sealed class EvaluateCommand
{
    public const string Example = "evaluate --attention dense nabla-0.7 nabla-0.4 --seeds 1-2 --output-dir evaluation";

    // Below, the scorer's motions are not to be relied on.
    private const int LeastFrames = 13;

    private readonly GenerationOptions _options = new();
    private readonly Option<string?> _model = SharedOptions.Model();
    private readonly Option<string> _device = SharedOptions.Device();
    private readonly Option<string> _dtype = SharedOptions.Dtype();
    private readonly PrecisionOptions _precision = new(SharedOptions.Weights());
    private readonly Option<string[]> _attention = new("--attention")
    {
        Description = "Expressions, as for generate; dense is always measured, because the others are compared with it",
        HelpName = "EXPR",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [.. EvaluationPlan.DefaultAttentions],
        CompletionSources = { "dense", "nabla-0.7", "sta-3-1-1", "nabla-0.6_sta-3-1-1" },
    };

    private readonly Option<string> _seeds = new("--seeds")
    {
        Description = "Make each prompt with each of these: 1-4 or 1,5,9",
        HelpName = "LIST",
        DefaultValueFactory = _ => "1-2",
    };

    private readonly Option<int?> _prompts = new("--prompts")
    {
        Description = "Use only N prompts of the suite, chosen evenly, so that seen and held-out ones keep their shares [default: all]",
        HelpName = "N",
    };

    private readonly Option<string> _outputDir = new("--output-dir", "-o")
    {
        Description = "Folder for rows.jsonl, results.json, results.md and the plot; videos that are in rows.jsonl are not made again",
        HelpName = "DIR",
        DefaultValueFactory = _ => "evaluation",
    };

    private readonly Option<int?> _batch = new("--batch") { Description = "Videos made at once [default: 1 on the CPU, up to 28 on CUDA]", HelpName = "N" };
    private readonly Option<bool> _keepVideos = new("--keep-videos") { Description = "Keep the videos of this run, too, as MP4s in the folder videos" };
    private readonly Option<bool> _keepStrips = new("--keep-strips")
    {
        Description = "Keep a few frames of each video of this run, and what is wrong with it, as PNGs in the folder strips; needs no ffmpeg",
    };

    private readonly Option<bool> _json = new("--json") { Description = "Print events as JSON lines" };

    public static Command Create()
    {
        var self = new EvaluateCommand();
        self._options[RequestFields.DenseSteps].Description = "Keep the first N steps dense [default: for sta-* alone as large a part of the steps as 12 of 50, otherwise 0]";
        var command = new Command("evaluate", "Measure a model of the captioned world: success, quality and density by attention.")
        {
            self._attention, self._seeds, self._prompts, self._outputDir, self._batch, self._keepVideos, self._keepStrips, self._json, self._model,
        };
        // What differs from video to video is the suite's; the frame rate is nothing to the scorer.
        self._options.AddTo(command, except:
        [
            RequestFields.Prompt, RequestFields.Attention, RequestFields.Threshold, RequestFields.TargetDensity, RequestFields.Fps, RequestFields.Seed,
        ]);
        command.Add(self._device);
        command.Add(self._dtype);
        self._precision.AddTo(command);
        command.Add(EvaluateVaeCommand.Create());
        LongJob.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var seeds = SeedPlan.Parse(parsed.GetValue(_seeds)!).Seeds!;
        var model = ModelLocator.Open(parsed.GetValue(_model), _options.Pieces(parsed));
        var plan = new EvaluationPlan
        {
            Prompts = EvaluationPlan.Choose(parsed.GetValue(_prompts)),
            Seeds = seeds,
            Attentions = EvaluationPlan.Parse(parsed.GetValue(_attention)!),
            Shared = _options.Read(parsed),
            Defaults = GenerationDefaults.Of(model),
        };
        plan.Check(model);
        if (parsed.GetValue(_batch) is < 1 and var wrong)
        {
            throw new InvalidRequestException($"batch must be 1 or more, found {wrong}");
        }

        var folder = parsed.GetValue(_outputDir)!;
        using var rows = RowFile.Open(folder);
        KeptClips? kept = null;
        if (parsed.GetValue(_keepVideos) || parsed.GetValue(_keepStrips))
        {
            kept = new KeptClips(folder, parsed.GetValue(_keepVideos), parsed.GetValue(_keepStrips));
            kept.Check(cancellation);
        }

        var report = Evaluate(parsed, plan, model, rows, kept, cancellation);
        if (report.Save(folder) is { } trouble)
        {
            CommandRunner.Warn($"no plot: {trouble}");
        }

        if (!parsed.GetValue(_json))
        {
            Console.WriteLine($"\n{EvaluationText.Table(report)}\nresults   {Path.Combine(folder, ResultsTable.FileName)}");
        }

        if (LongJob.Current is { } job)
        {
            job.Output = Path.GetFullPath(folder);
        }

        return ExitCode.Done;
    }

    private EvaluationReport Evaluate(
        ParseResult parsed, EvaluationPlan plan, VideoModel model, RowFile rows, KeptClips? kept, CancellationToken cancellation)
    {
        TorchRuntime.Load();
        var device = DeviceChoice.Resolve(parsed.GetValue(_device)!);
        var first = plan.Request(plan.Prompts[0], plan.Seeds[0], plan.Attentions[0]);
        if (first.Frames < LeastFrames)
        {
            CommandRunner.Warn($"note: motions are measured reliably from {LeastFrames} frames on, and these videos have {first.Frames}");
        }

        var tokens = model.Transformer.TokensOf(first.LatentShape(model.Latents));
        var batch = parsed.GetValue(_batch) ?? ModelClipGenerator.BatchFor(tokens, device.type);
        var dtype = DeviceChoice.ResolveDtype(parsed.GetValue(_dtype)!, device);
        model = _precision.Over(parsed, model, device, dtype);
        foreach (var note in model.Formats.Notes)
        {
            CommandRunner.Warn($"note: {note}");
        }

        using var generator = new ModelClipGenerator(model, device, dtype);
        return EvaluationOutput.Run(
            parsed.GetValue(_json), progress => new EvaluationRunner(plan, generator, rows, batch, progress, kept).Run(cancellation));
    }
}
