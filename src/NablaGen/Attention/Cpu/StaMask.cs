namespace NablaGen.Attention.Cpu;

/// <summary>The block lists of a sliding tile window: the same for every head, so made once.</summary>
internal static class StaMask
{
    /// <summary>For each query block, the key blocks in its window, ascending.</summary>
    public static (int[] RowStarts, int[] KeyBlocks) KeyBlocks(BlockLayout layout, StaWindow window)
    {
        var rowStarts = new int[layout.Blocks + 1];
        var keyBlocks = new List<int>();
        for (var i = 0; i < layout.Blocks; i++)
        {
            var (time, row, column) = layout.Place(i);
            foreach (var t in Reach(time, window.Time, layout.Time))
            {
                foreach (var h in Reach(row, window.Height, layout.BlockRows))
                {
                    foreach (var w in Reach(column, window.Width, layout.BlockColumns))
                    {
                        keyBlocks.Add((t * layout.BlockRows + h) * layout.BlockColumns + w);
                    }
                }
            }

            rowStarts[i + 1] = keyBlocks.Count;
        }

        return (rowStarts, keyBlocks.ToArray());
    }

    private static IEnumerable<int> Reach(int centre, int side, int count)
    {
        var first = Math.Max(centre - side / 2, 0);
        var last = Math.Min(centre + side / 2, count - 1);
        return Enumerable.Range(first, last - first + 1);
    }
}
