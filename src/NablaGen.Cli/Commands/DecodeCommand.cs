using System.CommandLine;
using NablaGen.Cli.Output;
using NablaGen.Generation;
using NablaGen.Models;
using NablaGen.Tensors;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen decode</c>: saved latents → their video.</summary>
internal sealed class DecodeCommand
{
    public const string Example = "decode ball.latents.safetensors --output ball.mp4";

    private readonly Argument<string> _latents = new("LATENTS") { Description = "A .latents.safetensors file that generate saved" };
    private readonly Option<string?> _model = SharedOptions.Model();
    private readonly Option<string> _device = SharedOptions.Device();
    private readonly Option<string?> _vram = SharedOptions.Vram();
    private readonly Option<string?> _output = SharedOptions.Output();
    private readonly Option<bool> _discardLatents = SharedOptions.DiscardLatents();
    private readonly PieceOptions _pieces = new();
    private readonly ReportOptions _report = new();

    public static Command Create()
    {
        var self = new DecodeCommand();
        self._output.Description = "Video to write: an .mp4, or a .png for one frame [default: beside the latents, with their name, or the first free NAME-<n>.mp4]";
        var command = new Command("decode", "Make the video of saved latents, for example after a run that was stopped while decoding.")
        {
            self._latents, self._model, self._device, self._vram, self._output, self._discardLatents,
        };
        self._pieces.AddTo(command);
        self._report.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var report = self._report.Report(parsed);
            return Task.FromResult(report.Run(() => self.Run(parsed, report, cancellation), cancellation));
        });
        return command;
    }

    private int Run(ParseResult parsed, RunReport report, CancellationToken cancellation)
    {
        var file = parsed.GetValue(_latents)!;
        if (!file.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))
        {
            throw new InvalidRequestException($"{file}: expected latents, a .latents.safetensors that generate saved");
        }

        // The video of ball.latents.safetensors is ball.mp4, beside it.
        var stem = Path.ChangeExtension(file, null);
        stem = stem.EndsWith(".latents", StringComparison.OrdinalIgnoreCase) ? stem[..^".latents".Length] : stem;
        var isDryRun = _report.IsDryRun(parsed);
        using var reserved = (isDryRun ? (Func<string?, string, IReadOnlyList<string>, ReservedName>)ReservedName.Look : ReservedName.Take)(
            parsed.GetValue(_output), stem, [".mp4", ".json"]);
        var folder = ModelLocator.Open(parsed.GetValue(_model), _pieces.Read(parsed));
        TorchRuntime.Load();
        var place = DeviceChoice.Resolve(parsed.GetValue(_device)!);
        using var pipeline = new TextToVideo(
            folder, place, VideoModel.DefaultVaeDtype(place), vram: DeviceChoice.ResolveVram(parsed.GetValue(_vram), place))
        {
            Limit = _report.Limit(parsed),
        };
        if (isDryRun)
        {
            var outlook = pipeline.OutlookOfDecoding(file, out var recipe);
            VideoOutput.CheckName(reserved.Path, recipe.Frames);
            var frames = recipe.Frames == 1 ? "1 frame" : $"{recipe.Frames} frames";
            report.Outlook(new DryRun($"{frames} of {recipe.Width}x{recipe.Height} from {file} by {folder.Name} on {place}", outlook,
                [("video", reserved.Path, outlook.VideoBytes), ("recipe", ResultFile.PathBeside(reserved.Path), null)]));
            return ExitCode.Done;
        }

        var result = report.Watch(progress => pipeline.DecodeLatents(file, reserved.Path, progress, cancellation));
        report.Made(parsed.GetValue(_discardLatents) ? ResultFile.DiscardLatents(result) : result);
        return ExitCode.Done;
    }
}
