using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>A CUDA device and its memory at this moment, in bytes. What libtorch's allocator holds is not free.</summary>
internal readonly record struct MemoryProbe(string Name, long Free, long Total)
{
    public static MemoryProbe Read(Device device)
    {
        var cuda = CudaDevices.Open(device);
        var (free, total) = cuda.Memory();
        return new MemoryProbe(cuda.Name, free, total);
    }
}
