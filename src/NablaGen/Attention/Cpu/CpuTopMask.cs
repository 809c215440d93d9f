namespace NablaGen.Attention.Cpu;

/// <summary>
/// RoLa's choice of blocks (get_block_map, sparse_linear_attention/utils.py of thu-ml/SLA): the key blocks with the highest scores, where a score is
/// the product of the block means of queries and keys. The reference takes the mean of all keys from the keys first; that moves a row's scores
/// alike, and so changes no choice.
/// </summary>
internal static unsafe class CpuTopMask
{
    /// <summary>For each query block of one head, the key blocks to keep, ascending.</summary>
    /// <param name="head">The head's block means.</param>
    /// <param name="count">How many a row keeps.</param>
    public static (int[] RowStarts, int[] KeyBlocks) KeyBlocks(PackedHead head, int count)
    {
        var blocks = head.Layout.Blocks;
        var kept = new int[checked(blocks * count)];
        Parallel.For(0, blocks, CpuThreads.Options, () => (Scores: new float[blocks], Order: new int[blocks]), (i, _, row) =>
        {
            for (var j = 0; j < blocks; j++)
            {
                (row.Scores[j], row.Order[j]) = (-Product(head, head.QueryMean(i), head.KeyMean(j)), j);
            }

            Array.Sort(row.Scores, row.Order);
            var mine = kept.AsSpan(i * count, count);
            row.Order.AsSpan(0, count).CopyTo(mine);
            mine.Sort();
            return row;
        }, _ => { });

        return ([.. Enumerable.Range(0, blocks + 1).Select(i => i * count)], kept);
    }

    private static float Product(PackedHead head, float* a, float* b) => head.Lanes == Lanes16.Count
        ? CpuGemm.Dot<Lanes16>(a, b, head.PaddedDim)
        : CpuGemm.Dot<Lanes8>(a, b, head.PaddedDim);
}
