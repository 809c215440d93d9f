using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using NablaGen.Generation;
using NablaGen.Tensors;
using NablaGen.Training.Models;
using NablaGen.Training.Vae;
using NablaGen.Training.World;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen evaluate vae</c>: how well a VAE gives rendered clips back, by motion and size.</summary>
internal sealed class EvaluateVaeCommand
{
    public const string Example = "evaluate vae --motions bounce spin fall --clips 8";

    private readonly Option<string?> _model = new("--model", "-m")
    {
        Description = "Model folder, of which the VAE is enough [default: NABLAGEN_MODEL, or the model in the box]",
        HelpName = "DIR",
    };

    private readonly Option<string[]> _motions = new Option<string[]>("--motions")
    {
        Description = "What an object of each clip does [default: all]",
        HelpName = "NAME",
        AllowMultipleArgumentsPerToken = true,
    }.AcceptOnlyFromAmong(Names);

    private readonly Option<string[]> _sizes = new("--sizes")
    {
        Description = "Sizes of the clips: width, height, and frames where they differ from the model's [default: the model's]",
        HelpName = "WxH",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<int> _clips = new("--clips") { Description = "Clips of each motion and size", HelpName = "N", DefaultValueFactory = _ => 4 };
    private readonly Option<bool> _json = new("--json") { Description = "Print a JSON line for each motion and size" };
    private readonly Option<string> _device = SharedOptions.Device();
    private readonly Option<string> _dtype = SharedOptions.Dtype();

    private static string[] Names => [.. Enum.GetNames<MotionKind>().Select(name => name.ToLowerInvariant())];

    public static Command Create()
    {
        var self = new EvaluateVaeCommand();
        var command = new Command("vae", "Measure how well a VAE gives rendered clips back: PSNR by motion and size.")
        {
            self._model, self._motions, self._sizes, self._clips, self._json, self._device, self._dtype,
        };
        command.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var folder = ModelLocator.Find(parsed.GetValue(_model)) ?? throw new NablaGenException("no model: name a folder with --model");
        var model = ModelSizes.Open(folder);
        var config = model.Others.Vae;
        var clips = parsed.GetValue(_clips) is >= 1 and var count ? count : throw new InvalidRequestException("clips must be 1 or more");
        var own = new ClipSize(model.Defaults.Frames, model.Defaults.Height, model.Defaults.Width);
        var sizes = parsed.GetValue(_sizes) is { Length: > 0 } named ? named.Select(text => ClipSize.Parse(text, own.Frames)).ToArray() : [own];
        foreach (var size in sizes)
        {
            if (size.Width % config.SpatialStride != 0 || size.Height % config.SpatialStride != 0 || (size.Frames - 1) % config.TemporalStride != 0)
            {
                throw new InvalidRequestException(
                    $"size {size}: expected width and height to be multiples of {config.SpatialStride} and frames {config.TemporalStride}n + 1");
            }
        }

        TorchRuntime.Load();
        var device = DeviceChoice.Resolve(parsed.GetValue(_device)!);
        using var vae = ModelFiles.LoadVae(folder, config, new ModuleOptions(device, DeviceChoice.ResolveDtype(parsed.GetValue(_dtype)!, device)));
        using var meter = new ReconstructionMeter(vae, device);
        var asJson = parsed.GetValue(_json);
        if (!asJson)
        {
            Console.WriteLine($"{"motion",-8}{"size",14}{"clips",7}{"mean dB",9}{"worst clip",12}{"worst frame",13}");
        }

        foreach (var size in sizes)
        {
            foreach (var motion in SharedOptions.Values(parsed, _motions, Names).Select(name => Enum.Parse<MotionKind>(name, ignoreCase: true)))
            {
                var q = meter.Measure(motion, size, clips, cancellation);
                Console.WriteLine(asJson
                    ? JsonSerializer.Serialize(new
                    {
                        motion = $"{q.Motion}".ToLowerInvariant(),
                        size = $"{q.Size}",
                        clips = q.Clips,
                        mean = Math.Round(q.Mean, 2),
                        worst_clip = Math.Round(q.WorstClip, 2),
                        worst_frame = Math.Round(q.WorstFrame, 2),
                    })
                    : string.Create(CultureInfo.InvariantCulture,
                        $"{$"{q.Motion}".ToLowerInvariant(),-8}{q.Size,14}{q.Clips,7}{q.Mean,9:0.0}{q.WorstClip,12:0.0}{q.WorstFrame,13:0.0}"));
            }
        }

        return ExitCode.Done;
    }
}
