using System.Globalization;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Benchmarks;

/// <summary>Times every kernel on the shapes of real models, against what the device does at best.</summary>
public static class KernelBench
{
    // Shorter work is repeated up to that, so that no wait for a launch is measured.
    private const double LeastMilliseconds = 1;

    private static readonly IReadOnlyList<KernelEntry> Entries =
    [
        .. FusedEntries.All, .. NormGradientEntries.All, .. MaskEntries.All, .. AttentionEntries.All, .. EightBitEntries.All, .. ConvolutionEntries.All,
    ];

    /// <summary>What can be timed: each kernel by its file's name, and the mask as a whole.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Entries.Select(entry => entry.Name)];

    /// <summary>
    /// Times each kernel on each shape; it is compiled or read from the cache before. One that fails is reported with its error, and the others
    /// go on.
    /// </summary>
    /// <param name="device">Where.</param>
    /// <param name="shapes">The self-attentions.</param>
    /// <param name="rates">What floors are reckoned with; null for none.</param>
    /// <param name="repeats">Times taken of each kernel after a warm-up; the median counts.</param>
    /// <param name="only">The name of one kernel; null for all.</param>
    /// <param name="densities">Densities of the masks that NABLA makes, each above 0 and at most 1; by default 0.5, 0.2 and 0.1.</param>
    /// <param name="cancellation">Stops between two kernels.</param>
    public static IEnumerable<KernelTime> Run(
        CudaDevice device, IEnumerable<BenchShape> shapes, DeviceRates? rates = null, int repeats = 5, string? only = null,
        IReadOnlyList<double>? densities = null, CancellationToken cancellation = default)
    {
        foreach (var shape in shapes)
        {
            using var data = Data(device, shape, densities);
            foreach (var entry in Entries.Where(entry => only is null || entry.Name == only))
            {
                var times = entry.WhyNot(device) is { } reason
                    ? [new KernelTime(entry.Name, shape.Name, "") { Skipped = reason }]
                    : Run(entry, data, rates, repeats, cancellation);
                foreach (var time in times)
                {
                    yield return time;
                }
            }
        }
    }

    /// <summary>Writes the masks that <see cref="Run(CudaDevice, IEnumerable{BenchShape}, DeviceRates?, int, string?, IReadOnlyList{double}?, CancellationToken)"/>
    /// times, as NumPy arrays of bool [heads, blocks, blocks] (one head where all share it): for another program to time the same.</summary>
    /// <param name="device">Where they are made.</param>
    /// <param name="shapes">The self-attentions.</param>
    /// <param name="folder">Where they go, a folder that is there, each as SHAPE-KIND-DENSITY.npy.</param>
    /// <param name="cancellation">Stops between two masks.</param>
    /// <returns>The files' paths.</returns>
    public static IEnumerable<string> SaveMasks(CudaDevice device, IEnumerable<BenchShape> shapes, string folder, CancellationToken cancellation = default)
    {
        foreach (var shape in shapes)
        {
            using var data = Data(device, shape, null);
            foreach (var (name, mask) in data.Masks())
            {
                cancellation.ThrowIfCancellationRequested();
                var path = Path.Combine(folder, string.Create(
                    CultureInfo.InvariantCulture, $"{shape.Name}-{name.Split(' ')[0].ToLowerInvariant()}-{mask.Density():0.000}.npy"));
                NumpyFile.Write(path, mask.ToHost());
                yield return path;
            }
        }
    }

    private static KernelData Data(CudaDevice device, BenchShape shape, IReadOnlyList<double>? densities) =>
        new(device, shape, densities ?? [0.5, 0.2, 0.1], randomDensity: 0.2);

    private static IEnumerable<KernelTime> Run(
        KernelEntry entry, KernelData data, DeviceRates? rates, int repeats, CancellationToken cancellation)
    {
        using var loads = entry.Loads(data).GetEnumerator();
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            var time = new KernelTime(entry.Name, data.Shape.Name, "");
            try
            {
                if (!loads.MoveNext())
                {
                    yield break;
                }

                time = time with { Case = loads.Current.Case };
                time = Measure(time, loads.Current, data.Device, rates, repeats);
            }
            catch (Exception error) when (error is not OperationCanceledException)
            {
                time = time with { Error = error.Message };
            }

            // Where it was the next load's data that failed, there are no further ones: MoveNext will say so.
            yield return time;
        }
    }

    private static KernelTime Measure(KernelTime time, KernelLoad load, CudaDevice device, DeviceRates? rates, int repeats)
    {
        var times = CudaTimer.Times(device, load.Work, repeats, LeastMilliseconds);
        var median = times[repeats / 2];
        // Tera is 10¹² a second, 10⁹ a millisecond.
        var best = load.Unit == KernelLoad.Products ? rates?.TeraFlops : rates?.TeraBytes;
        return time with
        {
            Milliseconds = median,
            Fastest = times[0],
            Slowest = times[^1],
            Rate = load.Amount / median / 1e9,
            Unit = load.Unit,
            Floor = load.Amount / best / 1e9,
        };
    }
}
