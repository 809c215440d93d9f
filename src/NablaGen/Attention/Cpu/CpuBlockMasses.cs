namespace NablaGen.Attention.Cpu;

/// <summary>
/// The exact share of each key block in the softmax of each query block, where NABLA's masks estimate it by block means:
/// M_ij = mean over the rows of i of Σ over the keys of j of e^(s − lse).
/// </summary>
internal static unsafe class CpuBlockMasses
{
    private const int BlockSize = BlockLayout.BlockSize;

    /// <summary>The masses of one head.</summary>
    /// <param name="head">Packed queries and keys.</param>
    /// <param name="logSumExp">The logarithm of each row's Σ e^s over all keys. [L]</param>
    /// <returns>[Blocks · Blocks], a row for each query block; each row sums to 1.</returns>
    public static float[] Of(PackedHead head, float* logSumExp) =>
        head.Lanes == Lanes16.Count ? Of<Lanes16>(head, logSumExp) : Of<Lanes8>(head, logSumExp);

    private static float[] Of<T>(PackedHead head, float* logSumExp)
        where T : struct, ILanes<T>
    {
        var blocks = head.Layout.Blocks;
        var masses = new float[blocks * blocks];
        Parallel.For(0, blocks, CpuThreads.Options, () => new BlockMatrices(head.Lanes, 1, BlockSize, BlockSize), (query, _, scratch) =>
        {
            var rows = head.Layout.Lengths[query];
            var lse = logSumExp + head.Layout.Starts[query];
            for (var key = 0; key < blocks; key++)
            {
                CpuGemm.Multiply<T>(head.Queries(query), head.Keys(key), scratch[0], rows, BlockSize, head.Dim, accumulate: false);
                masses[query * blocks + key] = Mass<T>(scratch[0], lse, rows, head.Layout.Lengths[key]) / rows;
            }

            return scratch;
        }, scratch => scratch.Dispose());
        return masses;
    }

    private static float Mass<T>(CpuMatrix scores, float* lse, int rows, int keys)
        where T : struct, ILanes<T>
    {
        var sum = T.All(0);
        for (var row = 0; row < rows; row++)
        {
            for (var key = keys; key < BlockSize; key++)
            {
                *scores.At(row, key) = float.NegativeInfinity;
            }

            var shift = T.All(lse[row]);
            for (var key = 0; key < keys; key += T.Count)
            {
                sum += T.Exp(T.Load(scores.At(row, key)) - shift);
            }
        }

        return T.Sum(sum);
    }
}
