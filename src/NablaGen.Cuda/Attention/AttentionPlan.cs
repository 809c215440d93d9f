using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Attention;

/// <summary>
/// The Hopper kernel's order of work: query blocks with masks that are alike share the union of their masks as one stream of key blocks. Contract:
/// attention_groups.cu, attention_plan.cu, attention_order.cu.
/// </summary>
/// <param name="device">Where.</param>
internal sealed class AttentionPlan(CudaDevice device) : IDisposable
{
    private readonly Workspace _workspace = new(device);
    private (DeviceBlockMask Mask, int Heads, BlockOffsets Offsets)? _planned;

    /// <summary>Device address of int32 [heads, groups, 3]: each group's query blocks.</summary>
    public nint Members { get; private set; }

    /// <summary>Device address of uint32 [heads, groups, blocks].</summary>
    public nint Entries { get; private set; }

    /// <summary>Device address of int32 [heads, groups].</summary>
    public nint EntryCounts { get; private set; }

    /// <summary>Device address of int32 [heads, groups]: the tiles (head · groups + group) in the order in which they are drawn.</summary>
    public nint Order { get; private set; }

    /// <summary>Device address of the counter from which thread blocks draw their work.</summary>
    public nint TileCounter { get; private set; }

    /// <summary>Streams a head.</summary>
    public int Groups { get; private set; }

    /// <summary>Bytes of a plan: entries of all heads and groups of query blocks, their counts, their order and their members.</summary>
    public static long Bytes(long heads, long blocks) =>
        4 * heads * AttentionGroups.Count((int)blocks) * (blocks + 2 + LaunchConstants.QueryBlocks) + 4;

    /// <summary>Puts the planning on the stream. The plan of a constant mask (dense, sliding tiles) is made once, not once a layer and step.</summary>
    /// <param name="mask">The mask, one for all heads or one each.</param>
    /// <param name="heads">Batch times heads of the attention.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="stream">The stream.</param>
    public void Run(DeviceBlockMask mask, int heads, BlockOffsets offsets, nint stream)
    {
        mask.Require(heads, offsets.Blocks);
        if (mask.IsConstant && _planned == (mask, heads, offsets))
        {
            device.MakeCurrent();
            Driver.Check(Driver.cuMemsetD8Async(TileCounter, 0, sizeof(int), stream), "cuMemsetD8Async");
            return;
        }

        _planned = mask.IsConstant ? (mask, heads, offsets) : null;
        var blocks = mask.Blocks;
        Groups = AttentionGroups.Count(blocks);
        var entryBytes = 4L * heads * Groups * blocks;
        Entries = _workspace.Take(Bytes(heads, blocks));
        EntryCounts = Entries + (nint)entryBytes;
        Order = EntryCounts + (nint)(4L * heads * Groups);
        Members = Order + (nint)(4L * heads * Groups);
        TileCounter = Members + (nint)(4L * heads * Groups * LaunchConstants.QueryBlocks);
        AttentionGroups.Run(device, mask, heads, Members, stream);
        Merge(mask, heads, offsets, stream);
        Rank(heads, stream);
    }

    /// <summary>Puts the making of the last plan's entries on the stream; it sets the counter to zero.</summary>
    /// <param name="mask">The plan's mask.</param>
    /// <param name="heads">Batch times heads of the attention.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="stream">The stream.</param>
    internal unsafe void Merge(DeviceBlockMask mask, int heads, BlockOffsets offsets, nint stream)
    {
        nint bits = mask.Bits, members = Members, at = offsets.Pointer, entries = Entries, counts = EntryCounts, counter = TileCounter;
        var (blocks, headStride) = (mask.Blocks, AttentionGroups.HeadStride(mask));
        device.Kernel("attention_plan").Launch(
            (Groups, heads, 1), LaunchConstants.PlanThreads, 0, stream,
            [
                (nint)(&bits), (nint)(&members), (nint)(&at), (nint)(&entries), (nint)(&counts), (nint)(&counter), (nint)(&blocks), (nint)(&headStride),
            ]);
    }

    /// <summary>Puts the ranking of the last plan's tiles on the stream.</summary>
    /// <param name="heads">Batch times heads of the attention.</param>
    /// <param name="stream">The stream.</param>
    internal unsafe void Rank(int heads, nint stream)
    {
        nint counts = EntryCounts, order = Order;
        var groups = Groups;
        device.Kernel("attention_order").Launch(
            (heads, (groups + LaunchConstants.OrderThreads - 1) / LaunchConstants.OrderThreads, 1), LaunchConstants.OrderThreads, 0, stream,
            [(nint)(&counts), (nint)(&order), (nint)(&groups)]);
    }

    /// <summary>Frees the plan.</summary>
    public void Dispose() => _workspace.Dispose();
}
