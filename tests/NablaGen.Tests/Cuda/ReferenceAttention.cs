using NablaGen.Cuda;

namespace NablaGen.Tests.Cuda;

/// <summary>Block-sparse attention as the formula says it: slow, in float64, over [heads, tokens, head size].</summary>
internal static class ReferenceAttention
{
    /// <summary>
    /// The output, and the log-sum-exp. With <paramref name="rounding"/>, weights and output are rounded to that type, as any
    /// 16-bit implementation does; without, it is exact.
    /// </summary>
    public static (double[] Output, double[] LogSumExp) Run(
        double[] q, double[] k, double[] v, int heads, int headSize, IReadOnlyList<int> offsets, Func<int, int, int, bool> keeps,
        ElementType? rounding = null)
    {
        var tokens = offsets[^1];
        var blocks = offsets.Count - 1;
        var output = new double[heads * tokens * headSize];
        var logSumExp = new double[heads * tokens];
        var scale = 1 / Math.Sqrt(headSize);
        Parallel.For(0, heads * blocks, row =>
        {
            var (head, block) = (row / blocks, row % blocks);
            int[] keys = [.. Enumerable.Range(0, blocks).Where(j => keeps(head, block, j))
                .SelectMany(j => Enumerable.Range(offsets[j], offsets[j + 1] - offsets[j]))];
            var logits = new double[keys.Length];
            for (var i = offsets[block]; i < offsets[block + 1]; i++)
            {
                var at = (head * tokens + i) * headSize;
                for (var j = 0; j < keys.Length; j++)
                {
                    var from = (head * tokens + keys[j]) * headSize;
                    var sum = 0.0;
                    for (var d = 0; d < headSize; d++)
                    {
                        sum += q[at + d] * k[from + d];
                    }

                    logits[j] = sum * scale;
                }

                var top = logits.Length > 0 ? logits.Max() : 0;
                var total = logits.Sum(logit => Math.Exp(logit - top));
                logSumExp[head * tokens + i] = logits.Length > 0 ? top + Math.Log(total) : double.NegativeInfinity;
                for (var j = 0; j < keys.Length; j++)
                {
                    var weight = Math.Exp(logits[j] - top);
                    weight = rounding is { } type ? Element16.Round(type, weight) : weight;
                    var from = (head * tokens + keys[j]) * headSize;
                    for (var d = 0; d < headSize; d++)
                    {
                        output[at + d] += weight / total * v[from + d];
                    }
                }

                for (var d = 0; rounding is { } type && d < headSize; d++)
                {
                    output[at + d] = Element16.Round(type, output[at + d]);
                }
            }
        });
        return (output, logSumExp);
    }
}
