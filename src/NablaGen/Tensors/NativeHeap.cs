using System.Runtime.InteropServices;

namespace NablaGen.Tensors;

/// <summary>Keeps the resident memory of a long run constant: freed memory goes back to the system.</summary>
/// <remarks>
/// Two things more than doubled it over 20 small steps with no tensor leaked. glibc learns to keep blocks of up to 32 MiB in its heap, where
/// tensors of changing sizes leave holes. And each number that meets a tensor is a native object (TorchSharp's Scalar) that only the
/// garbage collector frees; thousands of them hold the holes open, and the collector, which sees no native memory, has no cause to run.
/// </remarks>
internal static partial class NativeHeap
{
    private const int TrimThreshold = -1; // M_TRIM_THRESHOLD
    private const int MapThreshold = -3;  // M_MMAP_THRESHOLD

    // Above a small model's activations (a few MiB), for each new mapping is cleared page by page: with 1 MiB that took a third of the
    // processor time of a video by the model in the box.
    private const int Bytes = 8 << 20;

    private static readonly string[] Variables = ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"];

    // A step's numbers are young. What outlives two collections is found by the next full one, which walks through the whole managed heap:
    // tens of milliseconds in a program with much in it, of a small model's step the larger part.
    private const int FullEvery = 16;

    private static int _calls;

    /// <summary>Frees what waits for the garbage collector. It takes about a millisecond, and longer every sixteenth time; call it at the end of a step, which takes far longer.</summary>
    public static void Collect()
    {
        var isFull = Interlocked.Increment(ref _calls) % FullEvery == 0;
        GC.Collect(isFull ? GC.MaxGeneration : 1, GCCollectionMode.Forced, blocking: true);
        GC.WaitForPendingFinalizers();
    }

    /// <summary>
    /// Makes glibc take blocks of 8 MiB and more from the system and return them when freed. Does nothing with another C library, or where glibc's own
    /// environment variables are set.
    /// </summary>
    public static void ReturnLargeBlocks()
    {
        if (!OperatingSystem.IsLinux() || Variables.Any(name => Environment.GetEnvironmentVariable(name) is { Length: > 0 }))
        {
            return;
        }

        try
        {
            _ = mallopt(MapThreshold, Bytes);
            _ = mallopt(TrimThreshold, Bytes);
        }
        catch (Exception error) when (error is EntryPointNotFoundException or DllNotFoundException)
        {
            // musl has no mallopt, and no need of it.
        }
    }

    [LibraryImport("libc.so.6")]
    private static partial int mallopt(int parameter, int value);
}
