using System.CommandLine;
using NablaGen.Cli.Output;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Batch;
using NablaGen.Models;
using NablaGen.Tensors;
using NablaGen.Training.Evaluation;
using NablaGen.Training.Evaluation.Generation;
using NablaGen.Training.Evaluation.Results;
using NablaGen.Training.Evaluation.Running;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen evaluate</c>: a fixed suite of prompts with several attentions, measured on the frames.</summary>
internal sealed class EvaluateCommand
{
    public const string Example = "evaluate --attention dense nabla-0.7 nabla-0.4 --seeds 1-2 --output-dir evaluation";

    // Below, the scorer's motions are not to be relied on.
    private const int LeastFrames = 13;

    private const string GpuSeeds = "1-2";
    private const string CpuSeeds = "1";

    // Decoding, encoding prompts and measuring, as a part of sampling: the model in the box took 0.4 of it on two cores.
    private const double Besides = 0.5;

    private readonly GenerationOptions _options = new();
    private readonly Option<string?> _model = SharedOptions.Model();
    private readonly Option<string> _device = SharedOptions.Device();
    private readonly Option<string> _dtype = SharedOptions.Dtype();
    private readonly Option<string?> _task = new Option<string?>("--task")
    {
        Description = "t2v: prompts alone; i2v: with each prompt the first frame of a clip that shows it [default: t2v, or i2v for a model that needs a picture]",
        HelpName = "NAME",
    }.AcceptOnlyFromAmong("t2v", "i2v");

    private readonly PrecisionOptions _precision = new(SharedOptions.Weights());
    private readonly Option<string[]> _attention = new("--attention")
    {
        Description = "Expressions, as for generate; dense is always measured, because the others are compared with it "
            + $"[default on a GPU: {string.Join(' ', EvaluationPlan.DefaultAttentions)}; on the CPU, so that an hour is enough: {string.Join(' ', EvaluationPlan.CpuAttentions)}]",
        HelpName = "EXPR",
        AllowMultipleArgumentsPerToken = true,
        CompletionSources = { "dense", "nabla-0.7", "sta-3-1-1", "nabla-0.6_sta-3-1-1" },
    };

    private readonly Option<string?> _seeds = new("--seeds")
    {
        Description = $"Make each prompt with each of these: 1-4 or 1,5,9 [default: {GpuSeeds} on a GPU, {CpuSeeds} on the CPU]",
        HelpName = "LIST",
    };

    private readonly Option<int?> _prompts = new("--prompts")
    {
        Description = "Use only N prompts of the suite, chosen evenly, so that seen and held-out ones keep their shares "
            + $"[default: all {EvaluationSuite.All.Count} on a GPU, {EvaluationPlan.CpuPrompts} on the CPU]",
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
        self._options[RequestFields.DenseSteps].Description = "Keep the first N steps dense [default: for sta-* alone as large a part of the steps as 12 of 50, otherwise 0; auto: as generate]";
        var command = new Command("evaluate", "Measure a model of the captioned world: success, quality and density by attention.")
        {
            self._task, self._attention, self._seeds, self._prompts, self._outputDir, self._batch, self._keepVideos, self._keepStrips, self._json, self._model,
        };
        // What differs from video to video is the suite's; the frame rate is nothing to the scorer.
        self._options.AddTo(command, except:
        [
            RequestFields.Prompt, RequestFields.Attention, RequestFields.Threshold, RequestFields.TargetDensity, RequestFields.Fps, RequestFields.Seed,
            PictureFields.Image, PictureFields.LastImage, PictureFields.SizeFrom, PictureFields.Fit,
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
        // Flags first, then the model, then libtorch, which knows whether there is a GPU.
        var seeds = parsed.GetValue(_seeds) is { } list ? SeedPlan.Parse(list).Seeds! : null;
        var attentions = parsed.GetResult(_attention) is null ? null : EvaluationPlan.Parse(parsed.GetValue(_attention)!);
        EvaluationPlan.Choose(parsed.GetValue(_prompts));
        var shared = _options.Read(parsed);
        var (model, hasPictures) = Model(parsed);
        TorchRuntime.Load();
        var device = DeviceChoice.Resolve(parsed.GetValue(_device)!);
        var isGpu = device.type == DeviceType.CUDA;
        var plan = new EvaluationPlan
        {
            Prompts = EvaluationPlan.Choose(parsed.GetValue(_prompts) ?? (isGpu ? null : EvaluationPlan.CpuPrompts)),
            Seeds = seeds ?? SeedPlan.Parse(isGpu ? GpuSeeds : CpuSeeds).Seeds!,
            Attentions = attentions ?? EvaluationPlan.Parse(isGpu ? EvaluationPlan.DefaultAttentions : EvaluationPlan.CpuAttentions),
            Shared = shared,
            Defaults = GenerationDefaults.Of(model),
        };
        plan.Check(model);
        if (parsed.GetValue(_batch) is < 1 and var wrong)
        {
            throw new InvalidRequestException($"batch must be 1 or more, found {wrong}");
        }

        var folder = parsed.GetValue(_outputDir)!;
        using var rows = RowFile.Open(folder);
        if (hasPictures)
        {
            var size = plan.Request(plan.Prompts[0], plan.Seeds[0], plan.Attentions[0]);
            plan = plan with
            {
                Prompts = PictureSuite.With(plan.Prompts, size.Width, size.Height, Path.Combine(folder, "pictures")),
                Shared = plan.Shared with { Width = size.Width, Height = size.Height },
            };
        }

        KeptClips? kept = null;
        if (parsed.GetValue(_keepVideos) || parsed.GetValue(_keepStrips))
        {
            kept = new KeptClips(folder, parsed.GetValue(_keepVideos), parsed.GetValue(_keepStrips));
            kept.Check(cancellation);
        }

        var report = Evaluate(parsed, plan, model, device, rows, kept, cancellation);
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

    private (VideoModel Model, bool HasPictures) Model(ParseResult parsed)
    {
        var model = ModelLocator.Open(parsed.GetValue(_model), _options.Pieces(parsed));
        var hasPictures = parsed.GetValue(_task) is { } task ? task == "i2v" : model.Pictures.NeedsFirst;
        model = model.For(hasPictures);
        var (takes, needs) = (model.Pictures.TakesFirst && !model.Pictures.NeedsLast, model.Pictures.NeedsFirst);
        return (hasPictures ? takes : !needs)
            ? (model, hasPictures)
            : throw new InvalidRequestException($"the model '{model.Name}' makes videos {(model.Pictures.NeedsLast ? "between two pictures: evaluate is not for it" : $"{(needs ? "from a picture" : "of text alone")}: --task {parsed.GetValue(_task)} is not for it")}");
    }

    private EvaluationReport Evaluate(
        ParseResult parsed, EvaluationPlan plan, VideoModel model, Device device, RowFile rows, KeptClips? kept, CancellationToken cancellation)
    {
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

        var video = SamplingRate.Pass(model.Transformer, tokens, 1, device, dtype) * (first.Steps * (first.IsGuided ? 2 : 1) * (1 + Besides));
        using var generator = new ModelClipGenerator(model, device, dtype);
        return EvaluationOutput.Run(
            parsed.GetValue(_json), new EvaluationWork(plan, video), progress => new EvaluationRunner(plan, generator, rows, batch, progress, kept).Run(cancellation));
    }
}
