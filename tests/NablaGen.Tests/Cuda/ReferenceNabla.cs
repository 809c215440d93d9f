namespace NablaGen.Tests.Cuda;

/// <summary>NABLA's mask step by step, as the paper and the reference have it, with a sort. Over [heads, tokens, head size].</summary>
internal static class ReferenceNabla
{
    /// <summary>Means of each block, [heads, blocks, head size].</summary>
    public static double[] Pool(double[] x, int heads, int headSize, IReadOnlyList<int> offsets)
    {
        var (tokens, blocks) = (offsets[^1], offsets.Count - 1);
        var pooled = new double[heads * blocks * headSize];
        for (var row = 0; row < heads * blocks; row++)
        {
            var (head, block) = (row / blocks, row % blocks);
            var count = offsets[block + 1] - offsets[block];
            for (var i = offsets[block]; i < offsets[block + 1]; i++)
            {
                for (var d = 0; d < headSize; d++)
                {
                    pooled[row * headSize + d] += x[(head * tokens + i) * headSize + d] / count;
                }
            }
        }

        return pooled;
    }

    /// <summary>Logits between pooled blocks, with the log of the key block's size, [heads, blocks, blocks].</summary>
    public static double[] Scores(double[] pooledQ, double[] pooledK, int heads, int headSize, IReadOnlyList<int> offsets)
    {
        var blocks = offsets.Count - 1;
        var scores = new double[heads * blocks * blocks];
        for (var row = 0; row < heads * blocks; row++)
        {
            for (var key = 0; key < blocks; key++)
            {
                var sum = 0.0;
                for (var d = 0; d < headSize; d++)
                {
                    sum += pooledQ[row * headSize + d] * pooledK[(row / blocks * blocks + key) * headSize + d];
                }

                scores[row * blocks + key] = sum / Math.Sqrt(headSize) + Math.Log((offsets[key + 1] - offsets[key]) / 64.0);
            }
        }

        return scores;
    }

    /// <summary>
    /// Of one row: sort ascending, cumulate, keep where the sum reaches 1 − threshold; the largest always. In float64.
    /// </summary>
    public static bool[] Select(ReadOnlySpan<double> scores, double threshold)
    {
        var row = scores.ToArray();
        var top = row.Max();
        var weights = row.Select(score => Math.Exp(score - top)).ToArray();
        var total = weights.Sum();
        var order = Enumerable.Range(0, row.Length).OrderBy(j => weights[j]).ToArray();
        var keep = new bool[row.Length];
        var sum = 0.0;
        foreach (var j in order)
        {
            sum += weights[j] / total;
            keep[j] = sum >= 1 - threshold;
        }

        keep[order[^1]] = true;
        return keep;
    }
}
