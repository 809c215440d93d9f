using NablaGen.Models;

namespace NablaGen.Memory;

/// <summary>How long sampling may take, from a measured rate. On other GPUs the first steps show it.</summary>
internal static class SamplingTime
{
    // Operations a second of a whole dense pass in 16 bits: 1.3B at 24,192 tokens in 337 ms, 14B × 10 layers at 67,200 in 2,198 ms.
    private static readonly (string Name, double Rate)[] Measured = [("H100", 560e12)];

    /// <summary>An upper bound; sparse attention takes less. Null where nothing was measured.</summary>
    /// <param name="model">The transformer.</param>
    /// <param name="tokens">Tokens of the video.</param>
    /// <param name="passes">Passes through the transformer: steps, twice with guidance.</param>
    /// <param name="gpu">The GPU's name.</param>
    public static TimeSpan? AtMost(TransformerTraits model, long tokens, int passes, string gpu)
    {
        var rate = Measured.FirstOrDefault(measured => gpu.Contains(measured.Name, StringComparison.OrdinalIgnoreCase)).Rate;
        return rate == 0 ? null : TimeSpan.FromSeconds(passes * model.OperationsOf(tokens) / rate);
    }
}
