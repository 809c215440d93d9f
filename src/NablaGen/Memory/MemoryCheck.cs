using System.Globalization;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Memory;

/// <summary>Checks before the work that each model fits into the machine's memory. Only one is loaded at a time.</summary>
internal static class MemoryCheck
{
    /// <summary>Refuses a model whose weights alone are more than the machine, or the container, has free.</summary>
    /// <param name="models">Each model's file and how many numbers it has.</param>
    /// <param name="device">Where they will be; only the CPU's memory is checked here.</param>
    /// <param name="dtype">The type they will have.</param>
    /// <param name="available">Bytes of memory; null to ask the system.</param>
    /// <exception cref="NablaGenException">One does not fit; the line says what is needed and what there is.</exception>
    public static void Run(
        IEnumerable<(string File, long Parameters)> models, Device device, ScalarType dtype, long? available = null)
    {
        if (device.type != DeviceType.CPU)
        {
            return;
        }

        var memory = available ?? HostMemory.Read().Budget;
        foreach (var (file, weights) in models)
        {
            var bytes = weights * dtype.ElementSize();
            if (bytes > memory)
            {
                var advice = dtype == ScalarType.Float32 && weights * 2 < memory ? "; --dtype bfloat16 needs half of that" : "";
                throw new NablaGenException(
                    $"{file}: its weights need {GiB(bytes)} GiB in {dtype.ToString().ToLowerInvariant()}, and {GiB(memory)} GiB of this machine's memory are free{advice}");
            }
        }
    }

    private static string GiB(long bytes) => (bytes / (double)(1L << 30)).ToString("0.0", CultureInfo.InvariantCulture);
}
