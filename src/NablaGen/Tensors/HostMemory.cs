using System.Globalization;

namespace NablaGen.Tensors;

/// <summary>
/// The machine's memory at this moment, in bytes: what can be had without paging, within the limits of this process's control groups (a
/// container's, a cluster job's).
/// </summary>
/// <param name="Free">What can be had. The cache of files counts as free, this process's own memory does not.</param>
/// <param name="Total">What there is at most.</param>
internal readonly record struct HostMemory(long Free, long Total)
{
    // The runtime and libtorch, before a model is loaded: whoever plans with the whole program's needs counts them as free.
    private const long OwnAtMost = 300L << 20;

    /// <summary>What a plan of this process may take, the program itself included.</summary>
    public long Budget => Math.Min(Free + Math.Min(Environment.WorkingSet, OwnAtMost), Total);

    /// <summary>Asks the system.</summary>
    public static HostMemory Read() => (OperatingSystem.IsLinux() ? Read("/") : null) ?? OfRuntime();

    /// <summary>Reads Linux's files below a folder; null where they are not there.</summary>
    internal static HostMemory? Read(string root)
    {
        var info = Fields(Path.Combine(root, "proc/meminfo"));
        if (!info.TryGetValue("MemTotal:", out var total) || !info.TryGetValue("MemAvailable:", out var free))
        {
            return null;
        }

        var memory = new HostMemory(free << 10, total << 10);
        foreach (var folder in Groups(root))
        {
            memory = memory.Within(folder, "memory.max", "memory.current", "") // version 2
                .Within(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"); // version 1
        }

        return memory;
    }

    // Windows, and where /proc is not mounted. What others use is in the load.
    private static HostMemory OfRuntime()
    {
        var runtime = GC.GetGCMemoryInfo();
        return new HostMemory(Math.Max(0, runtime.TotalAvailableMemoryBytes - runtime.MemoryLoadBytes), runtime.TotalAvailableMemoryBytes);
    }

    private HostMemory Within(string folder, string limitFile, string usageFile, string prefix)
    {
        if (Number(Path.Combine(folder, limitFile)) is not { } limit || Number(Path.Combine(folder, usageFile)) is not { } usage)
        {
            return this;
        }

        // The files' cache counts as used there, and is given up when memory is asked for.
        var stat = Fields(Path.Combine(folder, "memory.stat"));
        var cache = stat.GetValueOrDefault(prefix + "inactive_file") + stat.GetValueOrDefault(prefix + "active_file");
        return new HostMemory(Math.Min(Free, Math.Max(0, limit - Math.Max(0, usage - cache))), Math.Min(Total, limit));
    }

    // This process's groups and those above them: each has its own limit. Inside a container the path may be the host's, and only the top is there.
    private static IEnumerable<string> Groups(string root)
    {
        foreach (var line in Lines(Path.Combine(root, "proc/self/cgroup")))
        {
            // "0::/path" of version 2, "9:memory:/path" of version 1.
            var parts = line.Split(':', 3);
            if (parts.Length < 3 || (parts[1].Length > 0 && !parts[1].Split(',').Contains("memory")))
            {
                continue;
            }

            var top = Path.Combine(root, parts[1].Length == 0 ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
            for (var path = parts[2].Trim('/'); path.Length > 0; path = Path.GetDirectoryName(path) ?? "")
            {
                yield return Path.Combine(top, path);
            }

            yield return top;
        }
    }

    private static long? Number(string path) =>
        long.TryParse(Lines(path).FirstOrDefault(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    // "name number", whatever follows.
    private static Dictionary<string, long> Fields(string path)
    {
        var fields = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var line in Lines(path))
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length > 1 && long.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                fields[words[0]] = number;
            }
        }

        return fields;
    }

    private static string[] Lines(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllLines(path) : [];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
