using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>Which query blocks share a stream of key blocks: those whose masks are alike. Contract: attention_groups.cu.</summary>
internal static class AttentionGroups
{
    /// <summary>Groups of a head's blocks.</summary>
    public static int Count(int blocks) => (blocks + LaunchConstants.QueryBlocks - 1) / LaunchConstants.QueryBlocks;

    /// <summary>Words of a mask from one head to the next; 0 where all share one.</summary>
    public static long HeadStride(DeviceBlockMask mask) => mask.Heads == 1 ? 0 : (long)mask.Blocks * mask.Words;

    /// <summary>Puts the choice on the stream.</summary>
    /// <param name="device">Where.</param>
    /// <param name="mask">The mask, one for all heads or one each.</param>
    /// <param name="heads">Batch times heads of the attention.</param>
    /// <param name="members">Device address; gets int32 [heads, groups, 3].</param>
    /// <param name="stream">The stream.</param>
    public static unsafe void Run(CudaDevice device, DeviceBlockMask mask, int heads, nint members, nint stream = 0)
    {
        nint bits = mask.Bits;
        var blocks = mask.Blocks;
        var headStride = HeadStride(mask);
        device.Kernel("attention_groups").Launch(
            ((blocks + LaunchConstants.GroupRows - 1) / LaunchConstants.GroupRows, heads, 1), LaunchConstants.GroupThreads, 0, stream,
            [(nint)(&bits), (nint)(&members), (nint)(&blocks), (nint)(&headStride)]);
    }
}
