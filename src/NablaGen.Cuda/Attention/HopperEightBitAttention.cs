using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>The eight-bit attention with TMA and wgmma, compute capability 9.0. Contract: block_attention8_sm90.cu.</summary>
internal sealed class HopperEightBitAttention(CudaDevice device) : IDisposable
{
    private readonly AttentionPlan _plan = new(device);

    /// <summary>Plans and puts the attention on the stream; arguments are checked by the caller.</summary>
    public void Run(
        EightBitAttention.Tiles tiles, EightBitAttention.Target target, BlockOffsets offsets, DeviceBlockMask mask, float scale, nint logSumExp, nint stream)
    {
        var output = target.Output;
        _plan.Run(mask, output.Rows, offsets, stream);
        var count = output.Rows * _plan.Groups;
        var work = new Work
        {
            Members = _plan.Members,
            Entries = _plan.Entries,
            EntryCounts = _plan.EntryCounts,
            Order = _plan.Order,
            Offsets = offsets.Pointer,
            TileCounter = _plan.TileCounter,
            Queries = tiles.Queries,
            Keys = tiles.Keys,
            QueryScales = tiles.QueryScales,
            Statistics = tiles.Statistics,
            Output = output.Pointer,
            LogSumExp = logSumExp,
            LargestValue = tiles.LargestValue,
            RowScales = target.RowScales,
            OutputStrides = new TensorStrides(output),
            Heads = output.Heads,
            Blocks = offsets.Blocks,
            Groups = _plan.Groups,
            Tiles = count,
            Tokens = output.Tokens,
            ScaleLog2 = (float)(scale * Math.Log2(Math.E)),
        };
        device.Kernel("block_attention8_sm90", target.Macros).Launch(
            (Math.Min(device.Multiprocessors, count), 1, 1), LaunchConstants.HopperThreads, LaunchConstants.EightBitSharedBytes, stream, work);
    }

    /// <summary>Frees the plan.</summary>
    public void Dispose() => _plan.Dispose();

    [StructLayout(LayoutKind.Sequential)]
    private struct Work
    {
        public nint Members, Entries, EntryCounts, Order, Offsets, TileCounter, Queries, Keys, QueryScales, Statistics, Output, LogSumExp, LargestValue, RowScales;
        public TensorStrides OutputStrides;
        public int Heads, Blocks, Groups, Tiles, Tokens;
        public float ScaleLog2;
    }
}
