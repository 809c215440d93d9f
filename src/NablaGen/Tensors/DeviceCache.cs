using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>The device memory that libtorch's allocator holds for later.</summary>
/// <remarks>
/// TorchSharp 0.107 binds neither empty_cache nor the allocator's counters. But libtorch empties its cache before it refuses an allocation, and
/// the refusal names the counters: so ask for a petabyte. That touches no memory of the device as long as
/// <see cref="CudaAllocator.RefusesEarly"/>.
/// </remarks>
internal static partial class DeviceCache
{
    private const long ImpossibleSize = 1L << 50;

    /// <summary>
    /// Gives what no tensor uses back to the device: after a model has left, so that its memory can be used in pieces of any size, by our own
    /// kernels and by others. Does nothing where that would first take all that the device has free.
    /// </summary>
    public static void Release(Device device) => Refusal(device);

    /// <summary>Bytes that tensors on a CUDA device have asked for and not given back, to three digits or better. Empties the cache too.</summary>
    /// <exception cref="NotSupportedException">This libtorch does not say.</exception>
    public static long AllocatedBytes(Device device) => ParseAllocated(Refusal(device) ?? "")
        ?? throw new NotSupportedException("libtorch's refusal of a petabyte does not name the bytes allocated");

    /// <summary>The bytes allocated that a refusal names; null if it names none.</summary>
    internal static long? ParseAllocated(string refusal)
    {
        if (Allocated().Match(refusal) is not { Success: true } match)
        {
            return null;
        }

        var unit = match.Groups["unit"].Value switch
        {
            "KiB" => 1L << 10,
            "MiB" => 1L << 20,
            "GiB" => 1L << 30,
            _ => 1L,
        };
        return (long)(double.Parse(match.Groups["number"].Value, CultureInfo.InvariantCulture) * unit);
    }

    private static string? Refusal(Device device)
    {
        if (device.type != DeviceType.CUDA || !CudaAllocator.RefusesEarly)
        {
            return null;
        }

        try
        {
            using var refused = empty([ImpossibleSize], ScalarType.Byte, device);
            return null;
        }
        catch (ExternalException error)
        {
            return error.Message;
        }
    }

    [GeneratedRegex(@"Of the allocated memory (?<number>[\d.]+) (?<unit>bytes|KiB|MiB|GiB) is allocated by PyTorch")]
    private static partial Regex Allocated();
}
