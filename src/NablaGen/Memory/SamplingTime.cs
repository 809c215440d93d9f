using NablaGen.Models.Wan.Dit;

namespace NablaGen.Memory;

/// <summary>How long sampling may take, from rates that were measured (docs/performance.md). Other GPUs show it in their first steps.</summary>
internal static class SamplingTime
{
    // Operations a second in 16 bits of a whole pass, dense: 1.3B at 24,192 tokens, 14B at 67,200.
    private static readonly (string Name, double Rate)[] Measured = [("H100", 560e12)];

    /// <summary>An upper bound; sparse attention takes less. Null where nothing was measured.</summary>
    /// <param name="config">The transformer.</param>
    /// <param name="tokens">Tokens of the video.</param>
    /// <param name="passes">Passes through the transformer: steps, twice with guidance.</param>
    /// <param name="gpu">The GPU's name.</param>
    public static TimeSpan? AtMost(DitConfig config, long tokens, int passes, string gpu)
    {
        var rate = Measured.FirstOrDefault(measured => gpu.Contains(measured.Name, StringComparison.OrdinalIgnoreCase)).Rate;
        return rate == 0 ? null : TimeSpan.FromSeconds(passes * Operations(config, tokens) / rate);
    }

    /// <summary>Multiplications and additions of a dense pass.</summary>
    internal static double Operations(DitConfig config, double tokens)
    {
        double dim = config.Dim, ffn = config.FfnDim;
        var products = 2 * tokens * (6 * dim * dim + 2 * dim * ffn);
        var attention = 4 * tokens * dim * (tokens + config.TextLen);
        return config.NumLayers * (products + attention);
    }
}
