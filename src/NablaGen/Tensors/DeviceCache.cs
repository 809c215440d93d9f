using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>The device memory that libtorch's allocator holds for later.</summary>
internal static class DeviceCache
{
    private const long ImpossibleSize = 1L << 50;

    /// <summary>
    /// Gives what no tensor uses back to the device: after a model has left, so that its memory can be used in pieces of any size, by our own
    /// kernels and by others.
    /// </summary>
    /// <remarks>
    /// TorchSharp 0.107 has no empty_cache. But libtorch empties its cache before it refuses an allocation, so ask for a petabyte.
    /// </remarks>
    public static void Release(Device device)
    {
        if (device.type != DeviceType.CUDA)
        {
            return;
        }

        try
        {
            using var refused = empty([ImpossibleSize], ScalarType.Byte, device);
        }
        catch (ExternalException)
        {
            // As meant.
        }
    }
}
