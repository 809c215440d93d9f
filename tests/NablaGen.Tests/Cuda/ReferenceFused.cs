using NablaGen.Cuda.Attention;

namespace NablaGen.Tests.Cuda;

/// <summary>The norm and elementwise passes as their formulas say, in float64, rounding only where the contract does.</summary>
internal static class ReferenceFused
{
    public static double[] LayerNorm(
        float[] x, int columns, double epsilon, float[]? weight, float[]? bias, Func<int, float[]?> scale, Func<int, float[]?> shift)
    {
        var y = new double[x.Length];
        for (var row = 0; row < x.Length / columns; row++)
        {
            var values = x.AsSpan(row * columns, columns).ToArray();
            var mean = values.Average(v => (double)v);
            var variance = values.Average(v => (v - mean) * (v - mean));
            for (var c = 0; c < columns; c++)
            {
                var n = (values[c] - mean) / Math.Sqrt(variance + epsilon);
                n = weight is null ? n : n * weight[c] + bias![c];
                y[row * columns + c] = scale(row) is { } s ? n * (1.0 + s[c]) + shift(row)![c] : n;
            }
        }

        return y;
    }

    /// <summary>x is [batch, tokens, heads · headSize]; table [tokens, headSize / 2, 2] or null. The result is not yet rounded.</summary>
    public static double[] RmsNormRope(
        double[] x, ElementType type, int tokens, int columns, int headSize, double epsilon, float[] weight, bool roundProduct,
        float[]? table)
    {
        var y = new double[x.Length];
        for (var row = 0; row < x.Length / columns; row++)
        {
            var at = row * columns;
            var inverse = 1 / Math.Sqrt(x.AsSpan(at, columns).ToArray().Average(v => v * v) + epsilon);
            double Normalised(int c)
            {
                var n = Element16.Round(type, x[at + c] * inverse) * weight[c];
                return roundProduct ? Element16.Round(type, n) : n;
            }

            for (var c = 0; c < columns; c += 2)
            {
                var pair = (row % tokens * headSize / 2 + c % headSize / 2) * 2;
                var (cos, sin) = table is null ? (1.0, 0.0) : (table[pair], table[pair + 1]);
                var (re, im) = (Normalised(c), Normalised(c + 1));
                y[at + c] = re * cos - im * sin;
                y[at + c + 1] = re * sin + im * cos;
            }
        }

        return y;
    }

    /// <summary>x is [rows, columns]; x · √columns / max(‖x‖, 1e-12) · gamma, then n · sigmoid(n) if asked. The result is not yet rounded.</summary>
    public static double[] RmsNormSilu(double[] x, int columns, float[] gamma, bool silu)
    {
        var y = new double[x.Length];
        for (var row = 0; row < x.Length; row += columns)
        {
            var scale = Math.Sqrt(columns) / Math.Max(Math.Sqrt(x.AsSpan(row, columns).ToArray().Sum(v => v * v)), 1e-12);
            for (var c = 0; c < columns; c++)
            {
                var n = x[row + c] * scale * gamma[c];
                y[row + c] = silu ? n / (1 + Math.Exp(-n)) : n;
            }
        }

        return y;
    }

    /// <summary>½ x (1 + tanh u), written so that nothing cancels where tanh u is near −1.</summary>
    public static double Gelu(double x) => x / (1 + Math.Exp(-2 * Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
}
