using NablaGen.Tensors;

namespace NablaGen.Tests.Tensors;

public sealed class HostMemoryTests : IDisposable
{
    private const long MiB = 1L << 20;

    private readonly TempFolder _root = new();

    public HostMemoryTests() => Write("proc/meminfo", "MemTotal:       16384000 kB\nMemFree:          100000 kB\nMemAvailable:    8192000 kB\nSwapFree: 5 kB\n");

    [Fact]
    public void What_is_available_is_free() => Assert.Equal(new HostMemory(8000 * MiB, 16_000 * MiB), HostMemory.Read(_root.Path));

    [Theory]
    [InlineData("max", 8000, 16_000)]
    [InlineData("4194304000", 1500, 4000)] // 4,000 − (3,000 − 500 of cache)
    [InlineData("1048576000", 0, 1000)]
    [InlineData("99999999999999", 8000, 16_000)]
    public void A_container_s_limit_counts(string limit, long free, long total)
    {
        Write("proc/self/cgroup", "0::/\n");
        Group("sys/fs/cgroup", limit, 3000);
        Assert.Equal(new HostMemory(free * MiB, total * MiB), HostMemory.Read(_root.Path));
    }

    [Fact]
    public void The_tightest_of_all_groups_counts()
    {
        Write("proc/self/cgroup", "0::/jobs/7/step\n");
        Group("sys/fs/cgroup/jobs/7", $"{6000 * MiB}", 1500);
        Group("sys/fs/cgroup/jobs", $"{12_000 * MiB}", 11_500);
        Assert.Equal(new HostMemory(1000 * MiB, 6000 * MiB), HostMemory.Read(_root.Path));
    }

    [Fact]
    public void Groups_of_the_first_version_count()
    {
        // Slurm and older Docker. The path of a container is the host's, and is not there inside.
        Write("proc/self/cgroup", "11:cpu,cpuacct:/a\n9:memory:/docker/0123\n");
        Write("sys/fs/cgroup/memory/memory.limit_in_bytes", $"{2000 * MiB}\n");
        Write("sys/fs/cgroup/memory/memory.usage_in_bytes", $"{900 * MiB}\n");
        Write("sys/fs/cgroup/memory/memory.stat", $"total_inactive_file {100 * MiB}\ntotal_active_file {50 * MiB}\n");
        Assert.Equal(new HostMemory(1250 * MiB, 2000 * MiB), HostMemory.Read(_root.Path));
    }

    [Fact]
    public void This_machine_is_read()
    {
        var memory = HostMemory.Read();
        Assert.InRange(memory.Free, 1, memory.Total);
        Assert.InRange(memory.Budget, memory.Free, memory.Total);
        Assert.Null(HostMemory.Read(_root["none"]));
    }

    public void Dispose() => _root.Dispose();

    private void Group(string folder, string limit, long usage)
    {
        Write(folder + "/memory.max", limit + "\n");
        Write(folder + "/memory.current", $"{usage * MiB}\n");
        Write(folder + "/memory.stat", $"anon 7\nfile 9\ninactive_file {300 * MiB}\nactive_file {200 * MiB}\n");
    }

    private void Write(string name, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_root[name])!);
        File.WriteAllText(_root[name], text);
    }
}
