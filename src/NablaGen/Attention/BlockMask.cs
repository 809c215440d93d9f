namespace NablaGen.Attention;

/// <summary>
/// The key blocks that each query block attends to, by head: ascending lists, back to back (CSR); and, made when first asked for, the
/// query blocks that attend to each key block (the transposed lists, for the gradients of keys and values).
/// </summary>
public sealed class BlockMask : IKeptBlocks
{
    private readonly int[][] _rowStarts;
    private readonly int[][] _keyBlocks;
    private readonly Lazy<(int[] Starts, int[] QueryBlocks)[]> _columns;

    /// <summary>A mask from each head's lists.</summary>
    /// <param name="layout">The blocks.</param>
    /// <param name="rowStarts">By head, where each query block's list starts; one entry more than blocks. [heads][Blocks + 1]</param>
    /// <param name="keyBlocks">By head, the lists. [heads][kept]</param>
    public BlockMask(BlockLayout layout, int[][] rowStarts, int[][] keyBlocks)
    {
        Layout = layout;
        _rowStarts = rowStarts;
        _keyBlocks = keyBlocks;
        _columns = new(Transpose);
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

    /// <summary>The query blocks of a head that attend to a key block, ascending; may be empty.</summary>
    public ReadOnlySpan<int> Column(int head, int keyBlock)
    {
        var (starts, queryBlocks) = _columns.Value[head];
        return queryBlocks.AsSpan(starts[keyBlock]..starts[keyBlock + 1]);
    }

    /// <summary>The share of the block pairs of one head that are kept.</summary>
    public double HeadDensity(int head) => _keyBlocks[head].Length / ((double)Layout.Blocks * Layout.Blocks);

    private (int[] Starts, int[] QueryBlocks)[] Transpose()
    {
        var columns = new (int[] Starts, int[] QueryBlocks)[Heads];
        for (var head = 0; head < Heads; head++)
        {
            // A sliding window's lists are one object for all heads.
            columns[head] = head > 0 && _keyBlocks[head] == _keyBlocks[0] ? columns[0] : Transpose(head);
        }

        return columns;
    }

    private (int[] Starts, int[] QueryBlocks) Transpose(int head)
    {
        var starts = new int[Layout.Blocks + 1];
        foreach (var key in _keyBlocks[head])
        {
            starts[key + 1]++;
        }

        for (var key = 0; key < Layout.Blocks; key++)
        {
            starts[key + 1] += starts[key];
        }

        var next = starts.ToArray();
        var queryBlocks = new int[_keyBlocks[head].Length];
        for (var query = 0; query < Layout.Blocks; query++)
        {
            foreach (var key in Row(head, query))
            {
                queryBlocks[next[key]++] = query;
            }
        }

        return (starts, queryBlocks);
    }
}
