namespace NablaGen.Cuda.Benchmarks;

/// <summary>One line of <c>bench kernels</c>, or several that differ in their data.</summary>
/// <param name="Name">The kernel's file without its ending, or what several kernels make together.</param>
/// <param name="Loads">What it is timed on. Taking the next one makes its data, which lives as long as the <see cref="KernelData"/>.</param>
/// <param name="NeedsHopper">Whether it runs on compute capability 9.0 only.</param>
internal sealed record KernelEntry(string Name, Func<KernelData, IEnumerable<KernelLoad>> Loads, bool NeedsHopper = false)
{
    /// <summary>An entry of one load.</summary>
    public KernelEntry(string name, Func<KernelData, KernelLoad> load, bool needsHopper = false)
        : this(name, data => Once(data, load), needsHopper)
    {
    }

    // An iterator, so that making the load belongs to taking it, too.
    private static IEnumerable<KernelLoad> Once(KernelData data, Func<KernelData, KernelLoad> load)
    {
        yield return load(data);
    }
}
