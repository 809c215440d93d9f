namespace NablaGen.Cuda.Benchmarks;

/// <summary>One measured time, or why there is none.</summary>
/// <param name="Kernel">What ran: a .cu file without its ending, or <c>nabla_mask</c> for the mask as a whole.</param>
/// <param name="Shape">The name of the <see cref="BenchShape"/>.</param>
/// <param name="Case">On what, such as "NABLA mask, density 0.200".</param>
public sealed record KernelTime(string Kernel, string Shape, string Case)
{
    /// <summary>Median time on the device.</summary>
    public double? Milliseconds { get; init; }

    /// <summary>The shortest, in milliseconds.</summary>
    public double? Fastest { get; init; }

    /// <summary>The longest, in milliseconds.</summary>
    public double? Slowest { get; init; }

    /// <summary>Work a second in <see cref="Unit"/>.</summary>
    public double? Rate { get; init; }

    /// <summary>What limits it: <c>TFLOP/s</c> (only the kept block pairs count) or <c>TB/s</c> (each input read once, each output written once).</summary>
    public string? Unit { get; init; }

    /// <summary>What the same work would take at the device's own rate, in milliseconds: see <see cref="DeviceRates"/>. Null where that is not known.</summary>
    public double? Floor { get; init; }

    /// <summary>The floor as a share of the median, in percent.</summary>
    public double? PercentOfFloor => 100 * Floor / Milliseconds;

    /// <summary>Why the device does not run it, which is no failure.</summary>
    public string? Skipped { get; init; }

    /// <summary>What went wrong.</summary>
    public string? Error { get; init; }
}
