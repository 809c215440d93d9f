using System.Globalization;
using System.Runtime.InteropServices;
using NablaGen.Tensors;

namespace NablaGen.Tests;

/// <summary>This process's resident memory, on Linux. It is the whole process's, so nothing may run beside.</summary>
internal static class ResidentMemory
{
    /// <summary>Bytes at present.</summary>
    public static long Now => Status("VmRSS");

    /// <summary>The most bytes since <see cref="ResetPeak"/>.</summary>
    public static long Peak => Status("VmHWM");

    public static void ResetPeak()
    {
        GC.Collect();
        // Else memory that an earlier test gave back and the C library kept would be used again and not count.
        _ = TrimMalloc(0);
        File.WriteAllText("/proc/self/clear_refs", "5");
    }

    /// <summary>
    /// Until disposed of, blocks of 64 KiB and more come from the system and go back at once. Else small tensors come from malloc's arenas, one a
    /// thread, and a test among a thousand sees tens of MiB that it does not see alone.
    /// </summary>
    public static IDisposable Exactly()
    {
        const int MapThreshold = -3;
        _ = SetMalloc(MapThreshold, 64 << 10);
        return new Usual();
    }

    private sealed class Usual : IDisposable
    {
        public void Dispose() => NativeHeap.ReturnLargeBlocks();
    }

    [DllImport("libc", EntryPoint = "mallopt")]
    private static extern int SetMalloc(int parameter, int value);

    [DllImport("libc", EntryPoint = "malloc_trim")]
    private static extern int TrimMalloc(nuint keep);

    private static long Status(string name)
    {
        var line = File.ReadLines("/proc/self/status").First(text => text.StartsWith(name + ":", StringComparison.Ordinal));
        return 1024 * long.Parse(line[(name.Length + 1)..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
    }
}
