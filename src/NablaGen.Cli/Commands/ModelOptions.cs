using System.CommandLine;
using NablaGen.Generation;
using NablaGen.Models;
using NablaGen.Tensors;
using TorchSharp;

namespace NablaGen.Cli.Commands;

/// <summary>The options that say which model runs where.</summary>
internal sealed class ModelOptions
{
    public Option<string?> Model { get; } = SharedOptions.Model();

    public Option<string> Device { get; } = SharedOptions.Device();

    public Option<string> Dtype { get; } = SharedOptions.Dtype();

    public PrecisionOptions Precision { get; } = new(SharedOptions.Weights());

    public Option<string?> Vram { get; } = SharedOptions.Vram();

    /// <summary>The model, with the files that the options name in place of its own; its weights are not opened.</summary>
    public VideoModel Open(ParseResult parsed, GenerationOptions options) => ModelLocator.Open(parsed.GetValue(Model), options.Pieces(parsed));

    /// <summary>Loads libtorch and gives the device that is asked for.</summary>
    public torch.Device DeviceOf(ParseResult parsed)
    {
        TorchRuntime.Load();
        return DeviceChoice.Resolve(parsed.GetValue(Device)!);
    }

    /// <summary>Loads libtorch and makes a pipeline on the device that is asked for.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="model">The model.</param>
    /// <param name="keepLoaded">As for <see cref="TextToVideo"/>.</param>
    /// <param name="from">The recipe whose number formats are used where the options say nothing.</param>
    /// <param name="limit">Who is asked about long and large jobs; null for nobody.</param>
    public TextToVideo Pipeline(ParseResult parsed, VideoModel model, bool keepLoaded = false, Recipe? from = null, JobLimit? limit = null)
    {
        var device = DeviceOf(parsed);
        var type = DeviceChoice.ResolveDtype(from is not null && !PrecisionOptions.IsGiven(parsed, Dtype) ? from.Dtype : parsed.GetValue(Dtype)!, device);
        return new TextToVideo(Precision.Over(parsed, model, device, type, from), device, type, keepLoaded, DeviceChoice.ResolveVram(parsed.GetValue(Vram), device))
        {
            Limit = limit,
        };
    }
}
