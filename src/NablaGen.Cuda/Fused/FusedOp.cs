using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>What the launchers of the elementwise and norm kernels share.</summary>
internal static class FusedOp
{
    /// <summary>Threads of the kernels that walk over all elements.</summary>
    public const int WalkThreads = LaunchConstants.WalkThreads;

    /// <summary>
    /// The fewest threads, in whole warps, that cover <paramref name="pieces"/> in as few turns as <paramref name="most"/> would.
    /// </summary>
    public static int Threads(int pieces, int most)
    {
        var turns = (pieces + most - 1) / most;
        return ((pieces + turns - 1) / turns + 31) / 32 * 32;
    }

    /// <summary>
    /// Thread blocks that walk over <paramref name="pieces"/>: enough to fill the device, few enough to start at once.
    /// </summary>
    public static int WalkGrid(CudaDevice device, long pieces) =>
        (int)Math.Clamp((pieces + WalkThreads - 1) / WalkThreads, 1, device.Multiprocessors * 16L);

    /// <summary>Macros of a kernel over that type.</summary>
    public static string[] Macros(ElementType type, params ReadOnlySpan<string> more) =>
        [.. type == ElementType.Float16 ? ["NABLAGEN_FP16"] : Array.Empty<string>(), .. more];

    /// <summary>Fails unless there are rows, of whole vectors.</summary>
    public static void RequireRows(int rows, int columns)
    {
        if (rows < 1 || columns < 8 || columns % 8 != 0)
        {
            throw new ArgumentException($"{rows} rows of {columns} columns; at least one row, and columns a multiple of 8.");
        }
    }

    /// <summary>Fails unless a device has fp8.</summary>
    public static void RequireFp8(CudaDevice device)
    {
        if (device.Capability.Number < 89)
        {
            throw new CudaException($"{device.Name} has compute capability {device.Capability}; fp8 needs 8.9 or newer.");
        }
    }

    /// <summary>The macros of a norm whose result may be in fp8.</summary>
    public static string[] NormMacros(ElementType type, int columns, int threads, bool isFp8) =>
        Macros(type, [$"COLUMNS={columns}", $"THREADS={threads}", .. isFp8 ? ["FP8_ROWS"] : Array.Empty<string>()]);

    /// <summary>Fails unless all addresses (0 means none) and the stride suit 16-byte accesses.</summary>
    public static void RequireAligned(ReadOnlySpan<nint> pointers, long floatStride = 0)
    {
        foreach (var pointer in pointers)
        {
            if (pointer % 16 != 0)
            {
                throw new ArgumentException($"The address 0x{pointer:x} is not a multiple of 16.");
            }
        }

        if (floatStride % 4 != 0)
        {
            throw new ArgumentException($"The stride of {floatStride} floats is not a multiple of 16 bytes.");
        }
    }
}
