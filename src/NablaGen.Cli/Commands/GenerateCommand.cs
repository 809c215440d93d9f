using System.CommandLine;
using NablaGen.Cli.Output;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Masks;
using NablaGen.Jobs.Previews;
using NablaGen.Jobs.Statistics;
using NablaGen.Models;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen generate</c>: one prompt → one video.</summary>
internal sealed class GenerateCommand
{
    public const string Example =
        "generate --prompt \"A red ball bounces\" --threshold 0.95 -o ball.mp4";

    private const int DefaultPreviewEvery = 5;

    private readonly GenerationOptions _options = new();
    private readonly ModelOptions _model = new();
    private readonly Option<string?> _from = RecipeSource.Option();
    private readonly Option<string?> _output = SharedOptions.Output();
    private readonly Option<string?> _latents = new("--latents")
    {
        Description = "Where to save the latents before decoding [default: beside the video, NAME.latents.safetensors]",
        HelpName = "FILE",
    };

    private readonly Option<string?> _stats = new("--stats")
    {
        Description = "Write density and time by step, layer and head to a .csv or .json",
        HelpName = "FILE",
    };

    private readonly Option<string?> _preview = new("--preview")
    {
        Description = "Write a small animated .gif of the expected video every few steps [default file: beside the video, NAME.preview.gif]",
        HelpName = "FILE",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly MaskOptions _masks = new();
    private readonly Option<bool> _discardLatents = SharedOptions.DiscardLatents();
    private readonly ReportOptions _report = new();
    private readonly RankOptions _ranks = new();
    private readonly Option<int?> _previewEvery = new("--preview-every")
    {
        Description = $"Steps from one preview to the next [default: {DefaultPreviewEvery}]",
        HelpName = "N",
    };

    public static Command Create()
    {
        var self = new GenerateCommand();
        var command = new Command("generate", "Make a video from a prompt.") { self._model.Model };
        self._options.AddTo(command);
        command.Add(self._options.PresetName);
        Option[] others =
        [
            self._from, self._model.Device, self._model.Dtype, .. self._model.Precision.All, self._model.Vram, self._ranks.Gpus, self._output, self._latents, self._discardLatents,
            self._stats, self._preview, self._previewEvery, .. self._masks.All,
        ];
        foreach (var option in others)
        {
            command.Add(option);
        }

        self._report.AddTo(command);
        LongJob.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var report = self._report.Report(parsed);
            return Task.FromResult(report.Run(() => self.Run(parsed, report, cancellation), cancellation));
        });
        return command;
    }

    private int Run(ParseResult parsed, RunReport report, CancellationToken cancellation)
    {
        // What can be wrong with the flags alone comes first, then the model, then libtorch.
        var flags = _options.Read(parsed);
        var preset = _options.Preset(parsed);
        var from = RecipeSource.Read(parsed.GetValue(_from), cancellation);
        if (flags.Prompt is null && from is null)
        {
            throw new InvalidRequestException("say what to show with --prompt, or name a video to make again with --from");
        }

        var isDryRun = _report.IsDryRun(parsed);
        var ranks = _ranks.Read(parsed, _model.Device);
        var writesNothing = isDryRun || ranks is { IsHelper: true };
        using var reserved = (writesNothing ? (Func<string?, string, IReadOnlyList<string>, ReservedName>)ReservedName.Look : ReservedName.Take)(
            parsed.GetValue(_output), "out", [".mp4", ".json", ".latents.safetensors", ".preview.gif"]);
        var output = reserved.Path;
        var latents = Latents(parsed, output);
        var preview = Preview(parsed, output, writesNothing);
        var every = PreviewEvery(parsed, preview);
        var stats = parsed.GetValue(_stats);
        if (stats is not null && !writesNothing)
        {
            StatisticsFile.Check(stats);
        }

        var masks = _masks.Read(parsed, output, writesNothing);
        if (masks is not null && ranks is not null)
        {
            throw new InvalidRequestException("--masks sees the masks of one GPU, and --gpus spreads them over several: give one of them");
        }

        OutputNames.Check(
        [
            ("the video", output), .. OutputNames.Beside(output, withLatents: false), ("the latents", latents), ("--preview", preview), ("--stats", stats),
            ("--masks", masks?.Path),
        ]);
        var hasPicture = (flags.Get(PictureFields.Image) ?? from?.Recipe.Get(PictureFields.Image)) is not null;
        var folder = _model.Open(parsed, _options).For(hasPicture);
        var defaults = GenerationDefaults.Of(folder);
        flags = preset is null ? flags : flags.Over(preset.Values, defaults);
        var request = from?.Request(flags, defaults, folder) ?? flags.ToRequest(defaults);
        request.Check(folder);
        var plan = masks is null ? null : MaskOptions.Plan(masks.Value, request, folder);

        using var pipeline = _model.Pipeline(parsed, folder, from: from?.Recipe, limit: ranks is { IsHelper: true } ? new JobLimit(_ => true) : _report.Limit(parsed));
        if (from is not null)
        {
            pipeline.CheckModel(cancellation);
            from.Compare(pipeline.RecipeOf(request, cancellation), folder, parsed.GetValue(_model.Model) is not null, flags.Get(RequestFields.Lora) is not null);
        }

        if (isDryRun)
        {
            ranks?.Check(pipeline, request);
            VideoOutput.CheckName(output, request.Frames);
            var outlook = report.Watch(progress => pipeline.Outlook([request], progress, cancellation));
            report.Outlook(new DryRun(DryRun.Describe(request, folder, pipeline), outlook,
            [
                ("video", output, outlook.VideoBytes), ("recipe", ResultFile.PathBeside(output), null),
                .. Named("latents", parsed.GetValue(_discardLatents) ? null : latents, outlook.LatentBytes), .. Named("preview", preview), .. Named("stats", stats),
                .. Named("masks", masks?.Path),
            ]));
            return ExitCode.Done;
        }

        using var job = ranks?.Open(pipeline, flags.Prompt, cancellation, request);
        if (ranks is { IsHelper: true })
        {
            return RankOptions.Help(job!, () => pipeline.Assist(request, cancellation), cancellation);
        }

        var (transformer, fps) = (folder.Transformer, (double)request.Fps / folder.Latents.TemporalStride);
        var statistics = stats is null
            ? null
            : new StatisticsWriter(stats, new DensityStatistics(transformer.Layers, transformer.Heads), () => pipeline.RecipeOf(request));
        var seen = plan is null ? null : new MaskObserver(plan, transformer.Heads);
        var observers = new SamplingObservers(
            statistics, seen,
            preview is null ? null : new PreviewWriter(preview, every, fps, LatentColors.Of(folder, pipeline.Device), CommandRunner.Warn));
        LongJob.Current?.Log?.Write("request", $"{request}, {folder.Path}, {pipeline.Device}");
        var result = Generate(report, progress => RankOptions.Run(job, () => pipeline.Generate(request, output, latents, progress, observers, cancellation)), latents);
        var unseen = seen is null ? null : SaveMasks(masks!.Value.Path, seen, folder, result, cancellation);
        report.Made(
            parsed.GetValue(_discardLatents) ? ResultFile.DiscardLatents(result) : result,
            ("preview", File.Exists(preview) ? preview : null), ("stats", statistics?.Failure is null ? stats : null), ("masks", unseen is null ? masks?.Path : null));
        return (statistics?.Failure ?? unseen) is { } failure ? throw failure : ExitCode.Done;
    }

    private static IEnumerable<(string Name, string Path, long? Bytes)> Named(string name, string? path, long? bytes = null) =>
        path is null ? [] : [(name, path, bytes)];

    // The video is made, whatever happens to its masks. Gives why they are missing.
    private static NablaGenException? SaveMasks(string path, MaskObserver seen, VideoModel model, GenerationResult result, CancellationToken cancellation)
    {
        try
        {
            if (seen.Failure is null)
            {
                MaskFile.Save(path, seen.Masks, model, result.Path, result.Recipe, cancellation);
            }

            return seen.Failure;
        }
        catch (NablaGenException error)
        {
            return error;
        }
    }

    // Sampling is the dear part: who loses the video after it is told that it can be had without.
    private static GenerationResult Generate(RunReport report, Func<IGenerationProgress, GenerationResult> work, string latents)
    {
        var start = DateTime.UtcNow;
        try
        {
            return report.Watch(work);
        }
        catch (Exception) when (File.Exists(latents) && File.GetLastWriteTimeUtc(latents) >= start)
        {
            CommandRunner.Warn($"the latents are saved; this command makes the video from them: nablagen decode {LongJob.Quoted(latents)}");
            throw;
        }
    }

    private string Latents(ParseResult parsed, string output)
    {
        if (parsed.GetValue(_latents) is not null && parsed.GetValue(_discardLatents))
        {
            throw new InvalidRequestException("--latents says where to keep the latents, and --discard-latents removes them: give one of them");
        }

        var path = parsed.GetValue(_latents) ?? LatentFile.PathBeside(output);
        return Path.GetExtension(path).Equals(".safetensors", StringComparison.OrdinalIgnoreCase)
            ? path
            : throw new InvalidRequestException($"{path}: the name of the latents must end in .safetensors");
    }

    private string? Preview(ParseResult parsed, string output, bool isDryRun)
    {
        if (parsed.GetResult(_preview) is null)
        {
            return null;
        }

        var path = parsed.GetValue(_preview) ?? PreviewWriter.PathBeside(output);
        if (!isDryRun)
        {
            PreviewWriter.Check(path);
        }

        return path;
    }

    private int PreviewEvery(ParseResult parsed, string? preview) => parsed.GetValue(_previewEvery) switch
    {
        null => DefaultPreviewEvery,
        not null when preview is null => throw new InvalidRequestException("--preview-every has no effect without --preview"),
        < 1 and var steps => throw new InvalidRequestException($"--preview-every must be 1 or more, found {steps}"),
        { } steps => steps,
    };
}
