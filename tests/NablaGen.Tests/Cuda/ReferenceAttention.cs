using NablaGen.Cuda.Attention;

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
                    logits[j] = Dot(q, at, k, from, headSize) * scale;
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

    /// <summary>
    /// The gradients of Σ output · <paramref name="gradient"/>, given the output and log-sum-exp of <see cref="Run"/>. With
    /// <paramref name="rounding"/>, weights, their gradients and the results are rounded to that type.
    /// </summary>
    public static (double[] Q, double[] K, double[] V) Gradients(
        double[] q, double[] k, double[] v, double[] output, double[] logSumExp, double[] gradient, int heads, int headSize,
        IReadOnlyList<int> offsets, Func<int, int, int, bool> keeps, ElementType? rounding = null)
    {
        double Round(double x) => rounding is { } type ? Element16.Round(type, x) : x;
        var tokens = offsets[^1];
        var blocks = offsets.Count - 1;
        var scale = 1 / Math.Sqrt(headSize);
        double[] gradientQ = new double[q.Length], gradientK = new double[q.Length], gradientV = new double[q.Length];
        Parallel.For(0, heads, head =>
        {
            for (var pair = 0; pair < blocks * blocks; pair++)
            {
                var (query, key) = (pair / blocks, pair % blocks);
                for (var i = offsets[query]; keeps(head, query, key) && i < offsets[query + 1]; i++)
                {
                    var at = (head * tokens + i) * headSize;
                    var sum = Dot(gradient, at, output, at, headSize);
                    for (var j = offsets[key]; j < offsets[key + 1]; j++)
                    {
                        var from = (head * tokens + j) * headSize;
                        var weight = Math.Exp(Dot(q, at, k, from, headSize) * scale - logSumExp[head * tokens + i]);
                        var slope = Round(weight * (Dot(gradient, at, v, from, headSize) - sum)) * scale;
                        Add(gradientQ, at, slope, k, from, headSize);
                        Add(gradientK, from, slope, q, at, headSize);
                        Add(gradientV, from, Round(weight), gradient, at, headSize);
                    }
                }
            }
        });
        return ([.. gradientQ.Select(Round)], [.. gradientK.Select(Round)], [.. gradientV.Select(Round)]);
    }

    private static double Dot(double[] x, int xAt, double[] y, int yAt, int count)
    {
        var a = x.AsSpan(xAt, count);
        var b = y.AsSpan(yAt, count);
        var sum = 0.0;
        for (var d = 0; d < a.Length; d++)
        {
            sum += a[d] * b[d];
        }

        return sum;
    }

    private static void Add(double[] sum, int sumAt, double factor, double[] x, int xAt, int count)
    {
        var a = sum.AsSpan(sumAt, count);
        var b = x.AsSpan(xAt, count);
        for (var d = 0; d < a.Length; d++)
        {
            a[d] += factor * b[d];
        }
    }
}
