namespace NablaGen.Attention;

/// <summary>The key blocks that each query block attends to, by head: ascending lists, back to back (CSR).</summary>
public sealed class BlockMask : IKeptBlocks
{
    private readonly int[][] _rowStarts;
    private readonly int[][] _keyBlocks;

    /// <summary>A mask from each head's lists.</summary>
    /// <param name="layout">The blocks.</param>
    /// <param name="rowStarts">By head, where each query block's list starts; one entry more than blocks. [heads][Blocks + 1]</param>
    /// <param name="keyBlocks">By head, the lists. [heads][kept]</param>
    public BlockMask(BlockLayout layout, int[][] rowStarts, int[][] keyBlocks)
    {
        Layout = layout;
        _rowStarts = rowStarts;
        _keyBlocks = keyBlocks;
    }

    /// <summary>The blocks' layout.</summary>
    public BlockLayout Layout { get; }

    /// <summary>Heads; a batch's heads follow one another.</summary>
    public int Heads => _rowStarts.Length;

    /// <summary>The share of (query block, key block) pairs that are kept, 0 to 1, over all heads.</summary>
    public double Density => Enumerable.Range(0, Heads).Average(HeadDensity);

    /// <inheritdoc/>
    public Lazy<KeptStatistics> Statistics => new(new KeptStatistics(
        [.. Enumerable.Range(0, Heads).Select(HeadDensity)], MaskTime.TotalSeconds, AttentionTime.TotalSeconds));

    /// <summary>What finding the blocks took.</summary>
    public TimeSpan MaskTime { get; init; }

    /// <summary>What attending over them took.</summary>
    public TimeSpan AttentionTime { get; init; }

    /// <summary>The key blocks that a head's query block attends to, ascending.</summary>
    public ReadOnlySpan<int> Row(int head, int queryBlock)
    {
        var starts = _rowStarts[head];
        return _keyBlocks[head].AsSpan(starts[queryBlock]..starts[queryBlock + 1]);
    }

    /// <summary>A head's lists as the kernels read them.</summary>
    internal (int[] RowStarts, int[] KeyBlocks) Lists(int head) => (_rowStarts[head], _keyBlocks[head]);

    /// <summary>The share of the block pairs of one head that are kept.</summary>
    public double HeadDensity(int head) => _keyBlocks[head].Length / ((double)Layout.Blocks * Layout.Blocks);

    /// <inheritdoc/>
    public int[] ReadCounts(int head)
    {
        var starts = _rowStarts[head];
        return [.. Enumerable.Range(0, Layout.Blocks).Select(row => starts[row + 1] - starts[row])];
    }

    /// <inheritdoc/>
    public uint[] ReadBits(int head)
    {
        var words = (Layout.Blocks + 31) / 32;
        var bits = new uint[Layout.Blocks * words];
        for (var row = 0; row < Layout.Blocks; row++)
        {
            foreach (var key in Row(head, row))
            {
                bits[row * words + key / 32] |= 1u << key % 32;
            }
        }

        return bits;
    }

    /// <summary>Whether two heads' lists are the same objects, as those of a sliding window are.</summary>
    internal bool SharesLists(int head, int other) => _keyBlocks[head] == _keyBlocks[other];
}
