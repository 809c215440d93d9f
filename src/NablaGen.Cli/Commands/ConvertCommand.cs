using System.CommandLine;
using NablaGen.Cli.Output;
using NablaGen.Generation;
using NablaGen.Models.Wan;
using NablaGen.Tensors;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen convert</c>: a part of a model as another file.</summary>
internal static class ConvertCommand
{
    public const string Example = "convert wan-Q8_0.gguf wan-bf16.safetensors --type bf16";

    public static Command Create()
    {
        var source = new Argument<string>("SOURCE") { Description = "A transformer, text encoder or VAE in one file (or an index of shards), in any layout and number format that can be read" };
        var target = new Argument<string>("DEST") { Description = "The .safetensors to write, which must not be there yet" };
        var type = new Option<string>("--type")
        {
            Description = $"{string.Join(", ", PieceConverter.Formats)}: the last stores the layers' matrices in 8 bits with a scale each, as ComfyUI does",
            HelpName = "TYPE",
            DefaultValueFactory = _ => PieceConverter.Formats[0],
        };
        type.CompletionSources.Add([.. PieceConverter.Formats]);
        var command = new Command("convert", "Write a part of a model as one .safetensors with Wan's own names, a tensor at a time, and read it back to compare it.")
        {
            source, target, type,
        };
        command.SetAction((parsed, cancellation) =>
        {
            var format = parsed.GetValue(type)!;
            if (!PieceConverter.Formats.Contains(format))
            {
                throw new InvalidRequestException($"--type: '{format}' is not one of {string.Join(", ", PieceConverter.Formats)}");
            }

            TorchRuntime.Load();
            var file = parsed.GetValue(target)!;
            var count = PieceConverter.Convert(parsed.GetValue(source)!, file, format, bytes => OutputSpace.Check(file, bytes, "the converted file"), cancellation);
            Summary.Line("file", $"{file} ({count} tensors, {new FileInfo(file).Length / 1048576.0:0.0} MiB, compared with {Path.GetFileName(parsed.GetValue(source)!)})");
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }
}
