using System.CommandLine;
using NablaGen.Cli.Output;
using NablaGen.Generation;
using NablaGen.Models;
using NablaGen.Tensors;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen decode</c>: saved latents → their video.</summary>
internal static class DecodeCommand
{
    public const string Example = "decode ball.latents.safetensors --output ball.mp4";

    public static Command Create()
    {
        var latents = new Argument<string>("LATENTS") { Description = "A .latents.safetensors file that generate saved" };
        var model = SharedOptions.Model();
        var device = SharedOptions.Device();
        var vram = SharedOptions.Vram();
        var output = SharedOptions.Output();
        output.Description = "Video to write: an .mp4, or a .png for one frame [default: beside the latents, with their name, or the first free NAME-<n>.mp4]";
        var command = new Command("decode", "Make the video of saved latents, for example after a run that was stopped while decoding.")
        {
            latents, model, device, vram, output,
        };
        var pieces = new PieceOptions();
        pieces.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var file = parsed.GetValue(latents)!;
            if (!file.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))
            {
                throw new InvalidRequestException($"{file}: expected latents, a .latents.safetensors that generate saved");
            }

            // The video of ball.latents.safetensors is ball.mp4, beside it.
            var stem = Path.ChangeExtension(file, null);
            stem = stem.EndsWith(".latents", StringComparison.OrdinalIgnoreCase) ? stem[..^".latents".Length] : stem;
            using var reserved = ReservedName.Take(parsed.GetValue(output), stem, ".mp4", ".json");
            var folder = ModelLocator.Open(parsed.GetValue(model), pieces.Read(parsed));
            TorchRuntime.Load();
            var place = DeviceChoice.Resolve(parsed.GetValue(device)!);
            using var pipeline = new TextToVideo(
                folder, place, VideoModel.DefaultVaeDtype(place), vram: DeviceChoice.ResolveVram(parsed.GetValue(vram), place));
            var result = ProgressReport.Run(progress => pipeline.DecodeLatents(file, reserved.Path, progress, cancellation));
            Summary.Write(result);
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }
}
