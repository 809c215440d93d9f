using System.CommandLine;
using NablaGen.Checkpoints;
using NablaGen.Native;
using NablaGen.Pipeline;

namespace NablaGen.Cli.Commands;

/// <summary>The options that say which model runs where.</summary>
internal sealed class ModelOptions
{
    public Option<string?> Model { get; } = SharedOptions.Model();

    public Option<string> Device { get; } = SharedOptions.Device();

    public Option<string> Dtype { get; } = SharedOptions.Dtype();

    /// <summary>The model's folder; its weights are not opened.</summary>
    public ModelFolder Folder(ParseResult parsed) => ModelLocator.Open(parsed.GetValue(Model));

    /// <summary>Loads libtorch and makes a pipeline on the device that is asked for.</summary>
    public TextToVideo Pipeline(ParseResult parsed, ModelFolder folder, bool keepLoaded = false)
    {
        TorchRuntime.Load();
        var device = DeviceChoice.Resolve(parsed.GetValue(Device)!);
        return new TextToVideo(folder, device, DeviceChoice.ResolveDtype(parsed.GetValue(Dtype)!, device), keepLoaded);
    }
}
