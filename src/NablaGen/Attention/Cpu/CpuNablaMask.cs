namespace NablaGen.Attention.Cpu;

/// <summary>
/// NABLA's choice of blocks (nablaT, wan/modules/attention.py): softmax over the block means of queries and keys estimates how much
/// mass each key block carries; a row keeps the largest blocks that carry the top <c>threshold</c> of it, and the <c>top</c> largest.
/// </summary>
internal static unsafe class CpuNablaMask
{
    /// <summary>For each query block of one head, the key blocks to keep, ascending; at least one.</summary>
    /// <param name="head">The head's tokens and block means.</param>
    /// <param name="threshold">The share of the mass to keep, in (0, 1].</param>
    /// <param name="window">Block lists to add (the STA window), or null.</param>
    /// <param name="top">How many of the largest blocks to keep whatever they carry.</param>
    /// <param name="masses">What each key block carries, where it is known exactly. [Blocks · Blocks]</param>
    public static (int[] RowStarts, int[] KeyBlocks) KeyBlocks(
        PackedHead head, double threshold, (int[] RowStarts, int[] KeyBlocks)? window, int top = 1, float[]? masses = null)
    {
        var blocks = head.Layout.Blocks;
        var rows = new int[blocks][];
        Parallel.For(0, blocks, CpuThreads.Options, () => new Row(blocks), (i, _, row) =>
        {
            var added = window is { } lists ? lists.KeyBlocks.AsSpan(lists.RowStarts[i]..lists.RowStarts[i + 1]) : default;
            rows[i] = row.Keep(head, i, threshold, top, added, masses);
            return row;
        }, _ => { });

        var rowStarts = new int[blocks + 1];
        for (var i = 0; i < blocks; i++)
        {
            rowStarts[i + 1] = rowStarts[i] + rows[i].Length;
        }

        return (rowStarts, rows.SelectMany(row => row).ToArray());
    }

    /// <summary>One thread's scratch for a row of the small map.</summary>
    private sealed class Row(int blocks)
    {
        private readonly float[] _mass = new float[blocks];
        private readonly float[] _sorted = new float[blocks];
        private readonly int[] _order = new int[blocks];
        private readonly bool[] _kept = new bool[blocks];

        public int[] Keep(PackedHead head, int queryBlock, double threshold, int top, ReadOnlySpan<int> added, float[]? masses)
        {
            if (masses is null)
            {
                Mass(head, queryBlock);
            }
            else
            {
                masses.AsSpan(queryBlock * blocks, blocks).CopyTo(_mass);
            }

            _mass.CopyTo(_sorted, 0);
            for (var j = 0; j < blocks; j++)
            {
                _order[j] = j;
            }

            Array.Sort(_sorted, _order);
            Array.Clear(_kept);
            var bar = (float)(1 - threshold);
            double sum = 0;
            for (var j = 0; j < blocks; j++)
            {
                sum += _sorted[j];
                _kept[_order[j]] = (float)sum >= bar;
            }

            for (var j = Math.Max(0, blocks - top); j < blocks; j++)
            {
                _kept[_order[j]] = true;
            }

            foreach (var j in added)
            {
                _kept[j] = true;
            }

            return Enumerable.Range(0, blocks).Where(j => _kept[j]).ToArray();
        }

        // P_ij = softmax over j of q̄_i · k̄_j / √D + log(n_j / 64). The logarithm lets a block smaller than 64 tokens count as what
        // it is; it is zero for full blocks, so that sizes the reference can run agree with it.
        private void Mass(PackedHead head, int queryBlock)
        {
            var lengths = head.Layout.Lengths;
            var q = head.QueryMean(queryBlock);
            var max = float.NegativeInfinity;
            for (var j = 0; j < blocks; j++)
            {
                // The packed queries carry the 1/√D already.
                var logit = Product(head, q, head.KeyMean(j)) + MathF.Log(lengths[j] / (float)BlockLayout.BlockSize);
                _mass[j] = logit;
                max = Math.Max(max, logit);
            }

            float total = 0;
            for (var j = 0; j < blocks; j++)
            {
                _mass[j] = MathF.Exp(_mass[j] - max);
                total += _mass[j];
            }

            for (var j = 0; j < blocks; j++)
            {
                _mass[j] /= total;
            }
        }

        private static float Product(PackedHead head, float* a, float* b) => head.Lanes == Lanes16.Count
            ? CpuGemm.Dot<Lanes16>(a, b, head.PaddedDim)
            : CpuGemm.Dot<Lanes8>(a, b, head.PaddedDim);
    }
}
