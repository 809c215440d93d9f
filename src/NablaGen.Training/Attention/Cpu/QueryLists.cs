using NablaGen.Attention;

namespace NablaGen.Training.Attention.Cpu;

/// <summary>The query blocks that attend to each key block, by head: a mask's lists transposed, for the gradients of keys and values.</summary>
internal sealed class QueryLists
{
    private readonly (int[] Starts, int[] QueryBlocks)[] _heads;

    /// <summary>The transposed lists of a mask.</summary>
    public QueryLists(BlockMask mask)
    {
        _heads = new (int[] Starts, int[] QueryBlocks)[mask.Heads];
        for (var head = 0; head < mask.Heads; head++)
        {
            _heads[head] = head > 0 && mask.SharesLists(head, 0) ? _heads[0] : Transpose(mask, head);
        }
    }

    /// <summary>The query blocks of a head that attend to a key block, ascending; may be empty.</summary>
    public ReadOnlySpan<int> Of(int head, int keyBlock)
    {
        var (starts, queryBlocks) = _heads[head];
        return queryBlocks.AsSpan(starts[keyBlock]..starts[keyBlock + 1]);
    }

    private static (int[] Starts, int[] QueryBlocks) Transpose(BlockMask mask, int head)
    {
        var blocks = mask.Layout.Blocks;
        var starts = new int[blocks + 1];
        for (var query = 0; query < blocks; query++)
        {
            foreach (var key in mask.Row(head, query))
            {
                starts[key + 1]++;
            }
        }

        for (var key = 0; key < blocks; key++)
        {
            starts[key + 1] += starts[key];
        }

        var next = starts.ToArray();
        var queryBlocks = new int[starts[^1]];
        for (var query = 0; query < blocks; query++)
        {
            foreach (var key in mask.Row(head, query))
            {
                queryBlocks[next[key]++] = query;
            }
        }

        return (starts, queryBlocks);
    }
}
