using System.CommandLine;
using NablaGen.Attention;
using NablaGen.Cli.Output;
using NablaGen.Native;
using NablaGen.Pipeline;
using NablaGen.Sampling;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen generate</c>: one prompt → one video.</summary>
internal sealed class GenerateCommand
{
    public const string Example =
        "generate --model Wan2.1-T2V-1.3B --prompt \"A cat surfs at sunset\" --threshold 0.7 --output cat.mp4";

    private readonly Option<string> _prompt = new("--prompt", "-p") { Description = "What to show", HelpName = "TEXT", Required = true };
    private readonly Option<string?> _negativePrompt = new("--negative-prompt") { Description = "What not to show [default: the model's]", HelpName = "TEXT" };
    private readonly Option<string?> _model = SharedOptions.Model();
    private readonly Option<string?> _attention = new("--attention")
    {
        Description = "dense, nabla-<threshold>, sta-<t>-<h>-<w> or nabla-<threshold>_sta-<t>-<h>-<w> [default: the model's]",
        HelpName = "EXPR",
    };

    private readonly Option<double?> _threshold = SharedOptions.Number("NABLA's threshold, short for --attention nabla-<threshold>", "0-1", "--threshold");
    private readonly Option<int?> _denseSteps = new("--dense-steps") { Description = "Keep the first N steps dense [default: 12 for sta-* alone, otherwise 0]", HelpName = "N" };
    private readonly Option<int?> _denseLayers = new("--dense-layers") { Description = "Keep the first N layers dense [default: 0]", HelpName = "N" };
    private readonly Option<int?> _width = new("--width") { Description = "Pixels, a multiple of 16 [default: the model's; Wan: 832]", HelpName = "N" };
    private readonly Option<int?> _height = new("--height") { Description = "Pixels, a multiple of 16 [default: the model's; Wan: 480]", HelpName = "N" };
    private readonly Option<int?> _frames = new("--frames", "-f") { Description = "Frames, 4n + 1 [default: the model's; Wan: 81]", HelpName = "N" };
    private readonly Option<int?> _fps = new("--fps") { Description = "Frames a second [default: the model's; Wan: 16]", HelpName = "N" };
    private readonly Option<int?> _steps = new("--steps", "-s") { Description = "Solver steps [default: the model's; Wan: 50]", HelpName = "N" };
    private readonly Option<string?> _solver = new("--solver") { Description = $"{string.Join(", ", Solver.Names)} [default: the model's; Wan: unipc]", HelpName = "NAME" };
    private readonly Option<double?> _shift = SharedOptions.Number("Shift of the noise schedule [default: the model's; Wan: 5]", "X", "--shift");
    private readonly Option<double?> _guidance = SharedOptions.Number("Guidance scale; 1 skips the pass without the prompt [default: the model's; Wan: 5]", "X", "--guidance", "-g");
    private readonly Option<long?> _seed = new("--seed") { Description = "Seed of the noise [default: a random one, shown afterwards]", HelpName = "N" };
    private readonly Option<string> _device = SharedOptions.Device();
    private readonly Option<string> _dtype = SharedOptions.Dtype();
    private readonly Option<string?> _vram = SharedOptions.Vram();
    private readonly Option<string?> _output = SharedOptions.Output();
    private readonly Option<string?> _latents = new("--latents")
    {
        Description = "Where the latents go before decoding [default: beside the video, NAME.latents.safetensors]",
        HelpName = "FILE",
    };

    public static Command Create()
    {
        var self = new GenerateCommand();
        var command = new Command("generate", "Make a video from a prompt.")
        {
            self._prompt, self._negativePrompt, self._model, self._attention, self._threshold, self._denseSteps, self._denseLayers,
            self._width, self._height, self._frames, self._fps, self._steps, self._solver, self._shift, self._guidance, self._seed,
            self._device, self._dtype, self._vram, self._output, self._latents,
        };
        command.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        // What can be wrong with the flags alone comes first, then the model, then libtorch.
        var expression = Expression(parsed);
        if (string.IsNullOrWhiteSpace(parsed.GetValue(_prompt)))
        {
            throw new InvalidRequestException("the prompt is empty");
        }

        var folder = ModelLocator.Open(parsed.GetValue(_model));
        var request = Request(parsed, folder.Defaults, expression);
        request.Check(folder.DitConfig, folder.VaeConfig);

        TorchRuntime.Load();
        var device = DeviceChoice.Resolve(parsed.GetValue(_device)!);
        var dtype = DeviceChoice.ResolveDtype(parsed.GetValue(_dtype)!, device);
        var output = SharedOptions.OutputOrDefault(parsed.GetValue(_output));
        using var pipeline = new TextToVideo(folder, device, dtype, vram: DeviceChoice.ResolveVram(parsed.GetValue(_vram), device));
        var result = ProgressReport.Run(progress =>
            pipeline.Generate(request, output, parsed.GetValue(_latents), progress, cancellation: cancellation));
        Summary.Write(result);
        return ExitCode.Done;
    }

    private AttentionExpression? Expression(ParseResult parsed)
    {
        var (attention, threshold) = (parsed.GetValue(_attention), parsed.GetValue(_threshold));
        if (attention is not null && threshold is not null)
        {
            throw new InvalidRequestException("--threshold and --attention both say what attention to use: give one of them");
        }

        return threshold is { } value ? AttentionExpression.Nabla(value) : attention is null ? null : AttentionExpression.Parse(attention);
    }

    private GenerationRequest Request(ParseResult parsed, GenerationDefaults defaults, AttentionExpression? expression)
    {
        var attention = expression ?? AttentionExpression.Parse(defaults.Attention);
        var request = new GenerationRequest
        {
            Prompt = parsed.GetValue(_prompt)!,
            NegativePrompt = parsed.GetValue(_negativePrompt) ?? defaults.NegativePrompt,
            Attention = attention,
            DenseSteps = parsed.GetValue(_denseSteps) ?? attention.DefaultDenseSteps,
            DenseLayers = parsed.GetValue(_denseLayers) ?? 0,
            Width = parsed.GetValue(_width) ?? defaults.Width,
            Height = parsed.GetValue(_height) ?? defaults.Height,
            Frames = parsed.GetValue(_frames) ?? defaults.Frames,
            Fps = parsed.GetValue(_fps) ?? defaults.Fps,
            Steps = parsed.GetValue(_steps) ?? defaults.Steps,
            Solver = parsed.GetValue(_solver) ?? defaults.Solver,
            Shift = parsed.GetValue(_shift) ?? defaults.Shift,
            Guidance = parsed.GetValue(_guidance) ?? defaults.Guidance,
            Seed = parsed.GetValue(_seed) ?? Random.Shared.Next(),
        };
        if (attention.IsDense && (parsed.GetResult(_denseSteps) ?? parsed.GetResult(_denseLayers)) is not null)
        {
            throw new InvalidRequestException("--dense-steps and --dense-layers have no effect on attention 'dense'");
        }

        if (!request.IsGuided && parsed.GetValue(_negativePrompt) is not null)
        {
            throw new InvalidRequestException("--negative-prompt has no effect at guidance 1");
        }

        return request;
    }
}
