using System.CommandLine;
using System.Globalization;
using NablaGen.Generation;
using NablaGen.Models.Wan;
using NablaGen.Tensors;
using NablaGen.Training.Vae;
using NablaGen.Training.World;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen train preview</c>: fits the colours of previews to a VAE, which <c>train vae</c> does at its end too.</summary>
internal sealed class TrainPreviewCommand
{
    public const string Example = "train preview --output models/tiny";

    private const int DefaultFrames = 17;

    private readonly Option<string> _output = new("--output", "-o")
    {
        Description = "Model folder, of which sizes and VAE are enough: its nablagen.json gets the colours",
        HelpName = "DIR",
        Required = true,
    };

    private readonly Option<int> _clips = new("--clips") { Description = "Rendered clips to fit", HelpName = "N", DefaultValueFactory = _ => LatentColorFit.DefaultClips };
    private readonly Option<int> _measured = new("--measured-clips") { Description = "Other clips to measure on", HelpName = "N", DefaultValueFactory = _ => 4 };
    private readonly Option<string> _size = new("--size") { Description = "Size of the clips", HelpName = "WxH", DefaultValueFactory = _ => $"128x128x{DefaultFrames}" };
    private readonly Option<string> _device = SharedOptions.Device();

    public static Command Create()
    {
        var self = new TrainPreviewCommand();
        var command = new Command("preview", "Fit the colours of --preview to a VAE; train vae does it at its end.") { self._output, self._clips, self._measured, self._size, self._device };
        command.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var folder = parsed.GetValue(_output)!;
        var (size, measured) = (ClipSize.Parse(parsed.GetValue(_size)!, DefaultFrames), parsed.GetValue(_measured));
        TorchRuntime.Load();
        var quality = PreviewColors.Fit(folder, size, parsed.GetValue(_clips), measured, DeviceChoice.Resolve(parsed.GetValue(_device)!), cancellation);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"preview   {quality.Mean:0.0} dB to the decoded frames at half size, worst clip {quality.WorstClip:0.0} ({measured} clips of {size} that it was not fitted to)"));
        Console.WriteLine($"written   {Path.Combine(folder, NablaGenJson.FileName)}");
        return ExitCode.Done;
    }
}
