using NablaGen.Native;
using static TorchSharp.torch;

namespace NablaGen.Pipeline;

/// <summary>A CUDA device and its memory at this moment, in bytes. What libtorch's allocator holds is not free.</summary>
internal readonly record struct DeviceMemory(string Name, long Free, long Total)
{
    public static DeviceMemory Look(Device device)
    {
        var cuda = CudaDevices.Open(device);
        var (free, total) = cuda.Memory();
        return new DeviceMemory(cuda.Name, free, total);
    }
}
