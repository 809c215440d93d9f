using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>How many block pairs each head of a mask keeps, without a wait. Contract: mask_counts.cu.</summary>
/// <param name="device">Where it runs.</param>
public sealed class MaskCounts(CudaDevice device)
{
    /// <summary>Puts the count on the stream.</summary>
    /// <param name="mask">The mask.</param>
    /// <param name="kept">Device address of int64 [mask.Heads].</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(DeviceBlockMask mask, nint kept, nint stream = 0)
    {
        var counts = mask.Counts;
        var blocks = mask.Blocks;
        device.Kernel("mask_counts").Launch((mask.Heads, 1, 1), LaunchConstants.CountThreads, 0, stream, [(nint)(&counts), (nint)(&kept), (nint)(&blocks)]);
    }
}
