using System.CommandLine;
using NablaGen.Cli.Output;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Previews;
using NablaGen.Jobs.Statistics;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen generate</c>: one prompt → one video.</summary>
internal sealed class GenerateCommand
{
    public const string Example =
        "generate --prompt \"A red ball bounces\" --threshold 0.8 -o ball.mp4";

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
        Option[] others =
        [
            self._from, self._model.Device, self._model.Dtype, .. self._model.Precision.All, self._model.Vram, self._output, self._latents, self._stats, self._preview,
            self._previewEvery,
        ];
        foreach (var option in others)
        {
            command.Add(option);
        }

        LongJob.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        // What can be wrong with the flags alone comes first, then the model, then libtorch.
        var flags = _options.Read(parsed);
        var from = RecipeSource.Read(parsed.GetValue(_from), cancellation);
        if (flags.Prompt is null && from is null)
        {
            throw new InvalidRequestException("say what to show with --prompt, or name a video to make again with --from");
        }

        using var reserved = ReservedName.Take(parsed.GetValue(_output), "out", ".mp4", ".json", ".latents.safetensors", ".preview.gif");
        var output = reserved.Path;
        var latents = Latents(parsed, output);
        var preview = Preview(parsed, output);
        var every = PreviewEvery(parsed, preview);
        var stats = parsed.GetValue(_stats);
        if (stats is not null)
        {
            StatisticsFile.Check(stats);
        }

        OutputNames.Check(
        [
            ("the video", output), .. OutputNames.Beside(output, withLatents: false), ("the latents", latents), ("--preview", preview), ("--stats", stats),
        ]);
        var folder = _model.Open(parsed, _options);
        var defaults = GenerationDefaults.Of(folder);
        var request = from?.Request(flags, defaults) ?? flags.ToRequest(defaults);
        request.Check(folder);

        using var pipeline = _model.Pipeline(parsed, folder, from: from?.Recipe);
        if (from is not null)
        {
            pipeline.CheckModel(cancellation);
            from.Compare(pipeline.RecipeOf(request, cancellation), folder, parsed.GetValue(_model.Model) is not null, flags.Get(RequestFields.Lora) is not null);
        }

        var (transformer, fps) = (folder.Transformer, (double)request.Fps / folder.Latents.TemporalStride);
        var statistics = stats is null
            ? null
            : new StatisticsWriter(stats, new DensityStatistics(transformer.Layers, transformer.Heads), () => pipeline.RecipeOf(request));
        var observers = new SamplingObservers(
            statistics,
            preview is null ? null : new PreviewWriter(preview, every, fps, LatentColors.Of(folder, pipeline.Device), CommandRunner.Warn));
        LongJob.Current?.Log?.Write("request", $"{request}, {folder.Path}, {pipeline.Device}");
        Summary.Write(Generate(progress => pipeline.Generate(request, output, latents, progress, observers, cancellation), latents));
        if (preview is not null && File.Exists(preview))
        {
            Summary.Line("preview", preview);
        }

        if (statistics?.Failure is { } failure)
        {
            throw failure;
        }

        if (stats is not null)
        {
            Summary.Line("stats", stats);
        }

        return ExitCode.Done;
    }

    // Sampling is the dear part: who loses the video after it is told that it can be had without.
    private static GenerationResult Generate(Func<IGenerationProgress, GenerationResult> work, string latents)
    {
        var start = DateTime.UtcNow;
        try
        {
            return ProgressReport.Run(work);
        }
        catch (Exception) when (File.Exists(latents) && File.GetLastWriteTimeUtc(latents) >= start)
        {
            CommandRunner.Warn($"the latents are saved; this command makes the video from them: nablagen decode {LongJob.Quoted(latents)}");
            throw;
        }
    }

    private string Latents(ParseResult parsed, string output)
    {
        var path = parsed.GetValue(_latents) ?? LatentFile.PathBeside(output);
        return Path.GetExtension(path).Equals(".safetensors", StringComparison.OrdinalIgnoreCase)
            ? path
            : throw new InvalidRequestException($"{path}: the name of the latents must end in .safetensors");
    }

    private string? Preview(ParseResult parsed, string output)
    {
        if (parsed.GetResult(_preview) is null)
        {
            return null;
        }

        var path = parsed.GetValue(_preview) ?? PreviewWriter.PathBeside(output);
        PreviewWriter.Check(path);
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
