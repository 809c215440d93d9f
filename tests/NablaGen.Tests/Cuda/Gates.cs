using NablaGen.Cuda.Attention;

namespace NablaGen.Tests.Cuda;

/// <summary>The two gates of the design (§4) that a kernel passes.</summary>
internal static class Gates
{
    /// <summary>Reordered sums: max|y − exact| ≤ 2 · max|reference − exact| + floor. A NaN fails.</summary>
    public static void ReorderedSum(double[] y, double[] reference, double[] exact, double floor)
    {
        Assert.Equal(exact.Length, y.Length);
        var allowed = 2 * Enumerable.Range(0, exact.Length).Max(i => Math.Abs(reference[i] - exact[i])) + floor;
        for (var i = 0; i < exact.Length; i++)
        {
            Assert.True(Math.Abs(y[i] - exact[i]) <= allowed, $"Element {i} is {y[i]}; exact {exact[i]}, allowed difference {allowed}.");
        }
    }

    /// <summary>
    /// Elementwise and norm kernels: bit-equal to the exact value's rounding in 99% of outputs, a few roundings away at most. Where
    /// outputs are differences of larger numbers, <paramref name="size"/> gives those numbers' size.
    /// </summary>
    public static void Rounded(ushort[] y, double[] exact, ElementType type, Func<int, double>? size = null)
    {
        Assert.Equal(exact.Length, y.Length);
        var equal = 0;
        for (var i = 0; i < exact.Length; i++)
        {
            var right = Element16.Encode(type, exact[i]);
            equal += right == y[i] ? 1 : 0;
            // Up to three roundings (after the norm, after the product, at the end) may each fall to the other side.
            var allowed = 4 * Math.Abs(size?.Invoke(i) ?? exact[i]) * (type == ElementType.Float16 ? 1.0 / 1024 : 1.0 / 128) + 1e-6;
            var got = Element16.Decode(type, y[i]);
            Assert.True(Math.Abs(got - exact[i]) <= allowed, $"Element {i} is {got}; exact {exact[i]}.");
        }

        Assert.True(equal >= 0.99 * exact.Length, $"{equal} of {exact.Length} outputs are bit-equal; 99% are asked.");
    }
}
