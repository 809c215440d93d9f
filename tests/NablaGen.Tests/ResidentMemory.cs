using System.Globalization;
using System.Runtime.InteropServices;

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

    [DllImport("libc", EntryPoint = "malloc_trim")]
    private static extern int TrimMalloc(nuint keep);

    private static long Status(string name)
    {
        var line = File.ReadLines("/proc/self/status").First(text => text.StartsWith(name + ":", StringComparison.Ordinal));
        return 1024 * long.Parse(line[(name.Length + 1)..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
    }
}
