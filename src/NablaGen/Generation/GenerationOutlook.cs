using NablaGen.Memory;

namespace NablaGen.Generation;

/// <summary>What making videos would take: said without making them.</summary>
/// <param name="Memory">What would be kept where, and the most memory that takes.</param>
/// <param name="Sampling">About how long sampling takes, as a rough guess; null where there is none, as in decoding. Decoding comes on top.</param>
/// <param name="IsMost">Whether that is an upper bound, because the attention is sparse by as much as only sampling shows.</param>
/// <param name="VideoBytes">The videos' bytes, at least.</param>
/// <param name="LatentBytes">Their latents' bytes.</param>
public sealed record GenerationOutlook(MemoryPlan Memory, TimeSpan? Sampling, bool IsMost, long VideoBytes, long LatentBytes)
{
    /// <inheritdoc/>
    public override string ToString() => $"{ByteSize.Text(Memory.Peaks.Values.DefaultIfEmpty().Max())} of memory, "
        + $"{(Sampling is { } time ? $"{(IsMost ? "at most" : "about")} {time.TotalSeconds:0} s of sampling" : "no guess of the time")}, "
        + $"videos {ByteSize.Text(VideoBytes)}, latents {ByteSize.Text(LatentBytes)}";
}
