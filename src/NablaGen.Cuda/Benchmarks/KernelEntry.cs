using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Benchmarks;

/// <summary>One line of <c>bench kernels</c>, or several that differ in their data.</summary>
/// <param name="Name">The kernel's file without its ending, or what several kernels make together.</param>
/// <param name="Loads">What it is timed on. Taking the next one makes its data, which lives as long as the <see cref="KernelData"/>.</param>
/// <param name="Needs">Which devices run it.</param>
internal sealed record KernelEntry(string Name, Func<KernelData, IEnumerable<KernelLoad>> Loads, KernelNeeds Needs = KernelNeeds.Nothing)
{
    /// <summary>An entry of one load.</summary>
    public KernelEntry(string name, Func<KernelData, KernelLoad> load, KernelNeeds needs = KernelNeeds.Nothing)
        : this(name, data => Once(data, load), needs)
    {
    }

    /// <summary>What a device lacks to run it, as "needs …"; null where it lacks nothing.</summary>
    public string? WhyNot(CudaDevice device) => Needs switch
    {
        KernelNeeds.Hopper when !device.HasHopperKernels => $"needs compute capability 9.0, and {device.Name} has {device.Capability}",
        KernelNeeds.Fp8 => EightBitAttention.WhyNot(device, EightBitKernel.Ada),
        _ => null,
    };

    // An iterator, so that making the load belongs to taking it, too.
    private static IEnumerable<KernelLoad> Once(KernelData data, Func<KernelData, KernelLoad> load)
    {
        yield return load(data);
    }
}

/// <summary>Which devices run a kernel.</summary>
internal enum KernelNeeds
{
    /// <summary>All that the program runs on.</summary>
    Nothing,

    /// <summary>Those from compute capability 8.9 on.</summary>
    Fp8,

    /// <summary>Those of compute capability 9.0.</summary>
    Hopper,
}
