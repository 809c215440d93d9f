using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>The random numbers that libtorch draws for tensors of a device.</summary>
public static class DeviceRandom
{
    /// <summary>Seeds the CPU's numbers and, for a GPU, those of all GPUs, which TorchSharp's <c>manual_seed</c> does not reach.</summary>
    public static void Seed(long seed, Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        using var generator = manual_seed(seed);
        if (device.type == DeviceType.CUDA)
        {
            cuda.manual_seed_all(seed);
        }
    }
}
