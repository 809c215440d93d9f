using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>Block-sparse attention with TMA and wgmma, compute capability 9.0. Contract: block_attention_sm90.cu.</summary>
internal sealed class HopperAttention(CudaDevice device) : IDisposable
{
    private readonly AttentionPlan _plan = new(device);

    /// <summary>Plans and puts the attention on the stream; arguments are checked by the caller.</summary>
    public unsafe void Run(
        AttentionTensor q, AttentionTensor k, AttentionTensor v, AttentionTensor output, BlockOffsets offsets, DeviceBlockMask mask,
        float scale, nint logSumExp, nint stream)
    {
        _plan.Run(mask, q.Rows, offsets, stream);
        const int queryBlocks = LaunchConstants.QueryBlocks;
        var stages = q.HeadSize == 128 ? LaunchConstants.WideHeadStages : LaunchConstants.NarrowHeadStages;
        var tileBytes = BlockOffsets.BlockSize * q.HeadSize * 2;
        var tiles = q.Rows * _plan.Groups;
        var (mapQ, mapK, mapV) = (TensorMap.For(q), TensorMap.For(k), TensorMap.For(v));
        var work = new Work
        {
            Members = _plan.Members,
            Entries = _plan.Entries,
            EntryCounts = _plan.EntryCounts,
            Order = _plan.Order,
            Offsets = offsets.Pointer,
            TileCounter = _plan.TileCounter,
            Output = output.Pointer,
            LogSumExp = logSumExp,
            OutputBatch = output.BatchStride,
            OutputHead = output.HeadStride,
            OutputToken = output.TokenStride,
            Heads = q.Heads,
            Blocks = offsets.Blocks,
            Groups = _plan.Groups,
            Tiles = tiles,
            Tokens = q.Tokens,
            ScaleLog2 = (float)(scale * Math.Log2(Math.E)),
        };
        device.Kernel("block_attention_sm90", q.Macros()).Launch(
            (Math.Min(device.Multiprocessors, tiles), 1, 1), LaunchConstants.HopperThreads,
            1024 + queryBlocks * tileBytes + stages * 2 * tileBytes, stream,
            [(nint)(&mapQ), (nint)(&mapK), (nint)(&mapV), (nint)(&work)]);
    }

    /// <summary>Frees the plan.</summary>
    public void Dispose() => _plan.Dispose();

    [StructLayout(LayoutKind.Sequential)]
    private struct Work
    {
        public nint Members, Entries, EntryCounts, Order, Offsets, TileCounter, Output, LogSumExp;
        public long OutputBatch, OutputHead, OutputToken;
        public int Heads, Blocks, Groups, Tiles, Tokens;
        public float ScaleLog2;
    }
}
