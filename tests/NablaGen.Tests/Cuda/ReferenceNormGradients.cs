namespace NablaGen.Tests.Cuda;

/// <summary>The gradients of the norm and residual passes as their formulas say, in float64, nothing rounded but where the contract says.</summary>
internal static class ReferenceNormGradients
{
    /// <summary>
    /// Of s = x + y · gate, h = LayerNorm(s) · factor + offset: gradients of x and y [batch, rows, columns] and, for each batch, of gate, factor and
    /// offset [batch, columns]. The sum alone where <paramref name="u"/> is null; the norm alone where <paramref name="y"/> is.
    /// </summary>
    /// <param name="rows">Rows of a batch.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <param name="s">What was normalised.</param>
    /// <param name="factor">[batch, columns]; null for 1.</param>
    /// <param name="u">Gradient of h.</param>
    /// <param name="g">Gradient of s from elsewhere; null for zeros.</param>
    /// <param name="y">The branch.</param>
    /// <param name="gate">[batch, columns]; null for 1.</param>
    public static (double[] X, double[] Y, double[] Gate, double[] Factor, double[] Offset) Residual(
        int rows, int columns, double epsilon, double[]? s, double[]? factor, double[]? u, double[]? g, double[]? y, double[]? gate)
    {
        var length = (u ?? g)!.Length;
        var sums = length / rows;
        double[] dx = new double[length], dy = new double[length], dgate = new double[sums], dfactor = new double[sums], doffset = new double[sums];
        for (var row = 0; row < length / columns; row++)
        {
            var (at, of) = (row * columns, row / rows * columns);
            g?.AsSpan(at, columns).CopyTo(dx.AsSpan(at));
            if (u is not null)
            {
                var values = s!.AsSpan(at, columns).ToArray();
                var mean = values.Average();
                var inverse = 1 / Math.Sqrt(values.Average(v => (v - mean) * (v - mean)) + epsilon);
                double[] n = [.. values.Select(v => (v - mean) * inverse)];
                double[] v = [.. n.Select((_, c) => u[at + c] * (factor?[of + c] ?? 1))];
                var (level, slope) = (v.Average(), v.Zip(n, (a, b) => a * b).Average());
                for (var c = 0; c < columns; c++)
                {
                    dx[at + c] += inverse * (v[c] - level - n[c] * slope);
                    dfactor[of + c] += u[at + c] * n[c];
                    doffset[of + c] += u[at + c];
                }
            }

            for (var c = 0; c < columns; c++)
            {
                dy[at + c] = dx[at + c] * (gate?[of + c] ?? 1);
                dgate[of + c] += dx[at + c] * (y?[at + c] ?? 0);
            }
        }

        return (dx, dy, dgate, dfactor, doffset);
    }

    /// <summary>Of RMSNorm over all columns and rotation: gradients of x [batch, tokens, columns] and of the weight [columns].</summary>
    /// <param name="x">[batch, tokens, columns]</param>
    /// <param name="g">Gradient of the result.</param>
    /// <param name="tokens">Tokens of a batch.</param>
    /// <param name="headSize">Columns a head.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    /// <param name="weight">[columns]</param>
    /// <param name="table">[tokens, headSize / 2, 2]; null for no rotation.</param>
    /// <param name="round">How a normalised value is rounded.</param>
    public static (double[] X, double[] Weight) Heads(
        double[] x, double[] g, int tokens, int headSize, double epsilon, float[] weight, float[]? table, Func<double, double> round)
    {
        var columns = weight.Length;
        double[] dx = new double[x.Length], dweight = new double[columns];
        for (var row = 0; row < x.Length / columns; row++)
        {
            var at = row * columns;
            var r = new double[columns];
            for (var c = 0; c < columns; c += 2)
            {
                var pair = (row % tokens * headSize / 2 + c % headSize / 2) * 2;
                var (cos, sin) = table is null ? (1.0, 0.0) : (table[pair], table[pair + 1]);
                r[c] = g[at + c] * cos + g[at + c + 1] * sin;
                r[c + 1] = g[at + c + 1] * cos - g[at + c] * sin;
            }

            var inverse = 1 / Math.Sqrt(x.AsSpan(at, columns).ToArray().Average(v => v * v) + epsilon);
            var slope = r.Select((value, c) => value * weight[c] * x[at + c] * inverse).Average();
            for (var c = 0; c < columns; c++)
            {
                var n = x[at + c] * inverse;
                dx[at + c] = inverse * (r[c] * weight[c] - n * slope);
                dweight[c] += r[c] * round(n);
            }
        }

        return (dx, dweight);
    }
}
