using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>The eight-bit attention for every device from 8.9 on. Contract: block_attention8_sm89.cu.</summary>
internal sealed class AdaEightBitAttention(CudaDevice device)
{
    /// <summary>Puts the attention on the stream; arguments are checked by the caller.</summary>
    public void Run(
        EightBitAttention.Tiles tiles, EightBitAttention.Target target, BlockOffsets offsets, DeviceBlockMask mask, float scale, nint logSumExp, nint stream)
    {
        if (mask.Lists == 0)
        {
            throw new ArgumentException("This attention kernel reads lists: make the mask with withLists: true.");
        }

        var (output, blocks) = (target.Output, offsets.Blocks);
        var work = new Work
        {
            Queries = tiles.Queries,
            Keys = tiles.Keys,
            QueryScales = tiles.QueryScales,
            Statistics = tiles.Statistics,
            Output = output.Pointer,
            LogSumExp = logSumExp,
            LargestValue = tiles.LargestValue,
            RowScales = target.RowScales,
            Lists = mask.Lists,
            Counts = mask.Counts,
            Offsets = offsets.Pointer,
            OutputStrides = new TensorStrides(output),
            ListHeadStride = mask.Heads == 1 ? 0 : (long)blocks * blocks,
            CountHeadStride = mask.Heads == 1 ? 0 : blocks,
            Heads = output.Heads,
            Blocks = blocks,
            Tokens = output.Tokens,
            ScaleLog2 = (float)(scale * Math.Log2(Math.E)),
        };
        device.Kernel("block_attention8_sm89", target.Macros).Launch(
            (blocks, output.Rows, 1), LaunchConstants.AdaThreads, LaunchConstants.AdaSharedBytes, stream, work);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Work
    {
        public nint Queries, Keys, QueryScales, Statistics, Output, LogSumExp, LargestValue, RowScales, Lists, Counts, Offsets;
        public TensorStrides OutputStrides;
        public long ListHeadStride;
        public int CountHeadStride, Heads, Blocks, Tokens;
        public float ScaleLog2;
    }
}
