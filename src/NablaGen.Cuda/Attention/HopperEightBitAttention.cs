using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>The eight-bit attention with TMA and wgmma, compute capability 9.0. Contract: block_attention8_sm90.cu.</summary>
/// <param name="device">Where.</param>
/// <param name="variant">One of the <see cref="Variants"/>.</param>
internal sealed class HopperEightBitAttention(CudaDevice device, HopperEightBitAttention.Variant variant) : IDisposable
{
    private readonly AttentionPlan _plan = new(device);

    /// <summary>The forms of block_attention8_sm90.cu; the first is what the program uses, the others are there to be measured beside it.</summary>
    public static IReadOnlyList<Variant> Variants { get; } =
    [
        new("", []),
        new("ahead", ["EIGHT_BIT_AHEAD"]),
        new("late", ["EIGHT_BIT_LATE"]),
        new("early", ["EIGHT_BIT_EARLY"]),
        new("ahead, early", ["EIGHT_BIT_AHEAD", "EIGHT_BIT_EARLY"]),
        new("ahead, early, shared", ["EIGHT_BIT_AHEAD", "EIGHT_BIT_EARLY", "EIGHT_BIT_SHARED"]),
        new("early, apart", ["EIGHT_BIT_EARLY", "EIGHT_BIT_APART"]),
        new("early, apart, shared", ["EIGHT_BIT_EARLY", "EIGHT_BIT_APART", "EIGHT_BIT_SHARED"]),
    ];

    /// <summary>Plans and puts the attention on the stream; arguments are checked by the caller.</summary>
    public void Run(
        EightBitAttention.Tiles tiles, AttentionTensor output, BlockOffsets offsets, DeviceBlockMask mask, float scale, nint logSumExp, nint stream)
    {
        _plan.Run(mask, output.Rows, offsets, stream);
        var count = output.Rows * _plan.Groups;
        var work = new Work
        {
            Entries = _plan.Entries,
            EntryCounts = _plan.EntryCounts,
            Offsets = offsets.Pointer,
            TileCounter = _plan.TileCounter,
            Queries = tiles.Queries,
            Keys = tiles.Keys,
            QueryScales = tiles.QueryScales,
            Statistics = tiles.Statistics,
            Output = output.Pointer,
            LogSumExp = logSumExp,
            OutputStrides = new TensorStrides(output),
            Heads = output.Heads,
            Blocks = offsets.Blocks,
            Groups = _plan.Groups,
            Tiles = count,
            Tokens = output.Tokens,
            ScaleLog2 = (float)(scale * Math.Log2(Math.E)),
        };
        device.Kernel("block_attention8_sm90", [.. EightBitAttention.Macros(output), .. variant.Macros]).Launch(
            (Math.Min(device.Multiprocessors, count), 1, 1), LaunchConstants.HopperThreads, LaunchConstants.EightBitSharedBytes, stream, work);
    }

    /// <summary>Frees the plan.</summary>
    public void Dispose() => _plan.Dispose();

    /// <summary>A form of the kernel.</summary>
    /// <param name="Name">What the benchmark calls it.</param>
    /// <param name="Macros">The kernel's macros.</param>
    internal sealed record Variant(string Name, string[] Macros);

    [StructLayout(LayoutKind.Sequential)]
    private struct Work
    {
        public nint Entries, EntryCounts, Offsets, TileCounter, Queries, Keys, QueryScales, Statistics, Output, LogSumExp;
        public TensorStrides OutputStrides;
        public int Heads, Blocks, Groups, Tiles, Tokens;
        public float ScaleLog2;
    }
}
