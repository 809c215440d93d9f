namespace NablaGen.Tests.Cuda;

/// <summary>Quantisation as the formulas say it: int8 with a scale a block, fp8 (E4M3) of what is left without a column's mean, with a scale a column and a factor a block.</summary>
internal static class ReferenceEightBits
{
    public const double LargestFp8 = 448;

    // Of attention_statistics.cu and attention_quantize.cu.
    private const int SeenTokens = 1024;
    private const double Headroom = 32, LeastColumn = 1.0 / 256, LeastMean = 1.0 / 64, Least = 1e-30;

    private static readonly double[] Fp8 = [.. Enumerable.Range(0, 127).Select(Decode)];

    /// <summary>The number that a code stands for; the eighth bit is the sign.</summary>
    public static double Decode(int code)
    {
        var (sign, exponent, mantissa) = ((code & 0x80) != 0 ? -1 : 1, code >> 3 & 15, code & 7);
        return sign * (exponent == 0 ? mantissa * Math.Pow(2, -9) : (1 + mantissa / 8.0) * Math.Pow(2, exponent - 7));
    }

    /// <summary>To nearest, ties to the even code; 448 for what lies beyond it.</summary>
    public static double RoundFp8(double x)
    {
        var magnitude = Math.Min(Math.Abs(x), LargestFp8);
        var above = Array.BinarySearch(Fp8, magnitude);
        if (above >= 0)
        {
            return Math.Sign(x) * magnitude;
        }

        above = ~above;
        var below = above - 1;
        var (down, up) = (magnitude - Fp8[below], Fp8[above] - magnitude);
        var code = down < up || (down == up && below % 2 == 0) ? below : above;
        return Math.Sign(x) * Fp8[code];
    }

    /// <summary>What q, k (without its mean) and v (with it) are in eight bits, all [heads, tokens, 128].</summary>
    public static (double[] Q, double[] K, double[] V) Run(double[] q, double[] k, double[] v, int heads, IReadOnlyList<int> offsets)
    {
        const int size = 128;
        var tokens = offsets[^1];
        var count = Math.Min(tokens, SeenTokens);
        int[] seen = [.. Enumerable.Range(0, count).Select(i => (int)((long)i * tokens / count))];
        var (centred, fp8) = (new double[k.Length], new double[v.Length]);
        for (var column = 0; column < heads * size; column++)
        {
            var (head, d) = (column / size, column % size);
            int At(int token) => (head * tokens + token) * size + d;
            var mean = seen.Average(token => k[At(token)]);
            for (var token = 0; token < tokens; token++)
            {
                centred[At(token)] = k[At(token)] - mean;
            }
        }

        for (var head = 0; head < heads; head++)
        {
            double Number(int token, int d) => v[(head * tokens + token) * size + d];
            double[] means = [.. Enumerable.Range(0, size).Select(d => seen.Average(token => Number(token, d)))];
            for (var d = 0; d < size; d++)
            {
                // A mean that a few outliers may have made is left in.
                var (column, mean) = (d, means[d]);
                means[d] = Math.Abs(mean) >= seen.Max(token => Math.Abs(Number(token, column) - mean)) * LeastMean ? mean : 0;
            }

            double Value(int token, int d) => Math.Abs(Number(token, d) - means[d]);
            double[] most = [.. Enumerable.Range(0, size).Select(d => seen.Max(token => Value(token, d)))];
            var top = most.Max();
            double[] scales = [.. most.Select(x => Math.Max(Math.Max(x, top * LeastColumn), Least) * Headroom / LargestFp8)];
            for (var block = 0; block + 1 < offsets.Count; block++)
            {
                int[] inside = [.. Enumerable.Range(offsets[block], offsets[block + 1] - offsets[block])];
                var factor = Math.Max(1, inside.Max(token => Enumerable.Range(0, size).Max(d => Value(token, d) / scales[d])) / LargestFp8);
                foreach (var token in inside)
                {
                    for (var d = 0; d < size; d++)
                    {
                        var (at, scale) = ((head * tokens + token) * size + d, scales[d] * factor);
                        fp8[at] = RoundFp8((v[at] - means[d]) / scale) * scale + means[d];
                    }
                }
            }
        }

        return (Int8(q, heads, offsets), Int8(centred, heads, offsets), fp8);
    }

    private static double[] Int8(double[] x, int heads, IReadOnlyList<int> offsets)
    {
        const int size = 128;
        var result = new double[x.Length];
        for (var head = 0; head < heads; head++)
        {
            for (var block = 0; block + 1 < offsets.Count; block++)
            {
                var (first, count) = ((head * offsets[^1] + offsets[block]) * size, (offsets[block + 1] - offsets[block]) * size);
                var most = x.AsSpan(first, count).ToArray().Max(Math.Abs);
                var scale = most > 0 ? most / 127 : 1;
                for (var i = first; i < first + count; i++)
                {
                    result[i] = Math.Round(x[i] / scale, MidpointRounding.ToEven) * scale;
                }
            }
        }

        return result;
    }
}
