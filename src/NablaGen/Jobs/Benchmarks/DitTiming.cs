namespace NablaGen.Jobs.Benchmarks;

/// <summary>The time of one pass through a transformer.</summary>
/// <param name="Attention">The attention expression.</param>
/// <param name="Tokens">Tokens of the video.</param>
/// <param name="Density">The mean density over layers and heads.</param>
/// <param name="Milliseconds">The median.</param>
/// <param name="Fastest">The shortest, in milliseconds.</param>
/// <param name="Slowest">The longest, in milliseconds.</param>
/// <param name="MemoryBytes">Memory in use on the device (all programs'), or the process's peak on the CPU.</param>
public sealed record DitTiming(string Attention, int Tokens, double Density, double Milliseconds, double Fastest, double Slowest, long MemoryBytes)
{
    /// <summary>Of <see cref="MemoryBytes"/> what was in use before there was a model: the device's context, libraries, other programs.</summary>
    public long BytesBefore { get; init; }
}
