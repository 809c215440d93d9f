using NablaGen.Tensors;
using TorchSharp;

namespace NablaGen.Cli.Commands;

/// <summary>The devices that <c>train dit --gpus</c> names.</summary>
internal static class TrainingDevices
{
    /// <summary>What can be said of the options before anything begins.</summary>
    /// <param name="gpus">How many GPUs; null for the one device.</param>
    /// <param name="device">What --device says.</param>
    /// <param name="batch">Clips a step, which the GPUs share.</param>
    /// <exception cref="InvalidRequestException">They contradict each other.</exception>
    public static void Check(int? gpus, string device, int batch)
    {
        if (gpus is not { } count)
        {
            return;
        }

        if (device is not ("auto" or "cuda"))
        {
            throw new InvalidRequestException($"--gpus has no effect with --device {device}: it names the first GPUs itself");
        }

        if (count < 1 || batch % count != 0)
        {
            throw new InvalidRequestException($"--batch must be a multiple of --gpus, and that at least 1: found {batch} and {count}");
        }
    }

    /// <summary>The one device, or the first so many GPUs.</summary>
    /// <param name="one">The device of --device, and the type of the products.</param>
    /// <param name="gpus">How many GPUs; null for the one device.</param>
    /// <exception cref="InvalidRequestException">There are not so many.</exception>
    public static IReadOnlyList<ModuleOptions> Resolve(ModuleOptions one, int? gpus)
    {
        if (gpus is not { } count)
        {
            return [one];
        }

        var there = one.Device.type == DeviceType.CUDA ? torch.cuda.device_count() : 0;
        return count <= there
            ? [.. Enumerable.Range(0, count).Select(index => one with { Device = new torch.Device(DeviceType.CUDA, index) })]
            : throw new InvalidRequestException($"--gpus {count}: there are {there} GPUs that TorchSharp can use; see nablagen doctor");
    }
}
