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
        var command = new Command("decode", "Make the video of saved latents, for example after a run that was stopped while decoding.")
        {
            latents, model, device, vram, output,
        };
        command.SetAction((parsed, cancellation) =>
        {
            var file = parsed.GetValue(latents)!;
            if (!file.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))
            {
                throw new InvalidRequestException($"{file}: expected latents, a .latents.safetensors that generate saved");
            }

            var folder = ModelLocator.Open(parsed.GetValue(model));
            TorchRuntime.Load();
            var place = DeviceChoice.Resolve(parsed.GetValue(device)!);
            using var pipeline = new TextToVideo(
                folder, place, VideoModel.DefaultVaeDtype(place), vram: DeviceChoice.ResolveVram(parsed.GetValue(vram), place));
            var path = SharedOptions.OutputOrDefault(parsed.GetValue(output));
            var result = ProgressReport.Run(progress => pipeline.DecodeLatents(file, path, progress, cancellation));
            Summary.Write(result);
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }
}
