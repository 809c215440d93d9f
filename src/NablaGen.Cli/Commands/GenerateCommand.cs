using System.CommandLine;
using NablaGen.Cli.Output;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen generate</c>: one prompt → one video.</summary>
internal sealed class GenerateCommand
{
    public const string Example =
        "generate --model Wan2.1-T2V-1.3B --prompt \"A cat surfs at sunset\" --threshold 0.7 --output cat.mp4";

    private readonly GenerationOptions _options = new() { Prompt = { Required = true } };
    private readonly ModelOptions _model = new();
    private readonly Option<string?> _output = SharedOptions.Output();
    private readonly Option<string?> _latents = new("--latents")
    {
        Description = "Where the latents go before decoding [default: beside the video, NAME.latents.safetensors]",
        HelpName = "FILE",
    };

    public static Command Create()
    {
        var self = new GenerateCommand();
        var command = new Command("generate", "Make a video from a prompt.") { self._model.Model };
        self._options.AddTo(command);
        command.Add(self._model.Device);
        command.Add(self._model.Dtype);
        command.Add(self._output);
        command.Add(self._latents);
        command.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        // What can be wrong with the flags alone comes first, then the model, then libtorch.
        var flags = _options.Read(parsed);
        var folder = _model.Folder(parsed);
        var request = flags.ToRequest(folder.Defaults);
        request.Check(folder.DitConfig, folder.VaeConfig);

        using var pipeline = _model.Pipeline(parsed, folder);
        var output = SharedOptions.OutputOrDefault(parsed.GetValue(_output));
        var result = ProgressReport.Run(progress =>
            pipeline.Generate(request, output, parsed.GetValue(_latents), progress, cancellation: cancellation));
        Summary.Write(result);
        return ExitCode.Done;
    }
}
