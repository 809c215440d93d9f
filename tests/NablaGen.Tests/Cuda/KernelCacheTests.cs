using NablaGen.Cuda;
using NablaGen.Cuda.Compilation;

namespace NablaGen.Tests.Cuda;

public sealed class KernelCacheTests : IDisposable
{
    private static readonly KernelSource Source = new("k", "text", [("a.cuh", "header")]);
    private static readonly string[] Options = ["--gpu-architecture=sm_90a", "-DX=1"];

    private readonly string _folder = Path.Combine(Path.GetTempPath(), "nablagen-cache-" + Guid.NewGuid().ToString("N"));

    public void Dispose()
    {
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    [Fact]
    public void A_kernel_is_compiled_once()
    {
        var compiler = new FakeCompiler();
        var image = new KernelCache(_folder).Get(compiler, Source, Options);
        Assert.Equal(image, new KernelCache(_folder).Get(compiler, Source, Options));
        Assert.Equal(1, compiler.Calls);
    }

    [Fact]
    public void Everything_that_matters_is_in_the_key()
    {
        var compiler = new FakeCompiler();
        string[] keys =
        [
            KernelCache.Key(compiler, Source, Options),
            KernelCache.Key(compiler, Source with { Text = "other" }, Options),
            KernelCache.Key(compiler, Source with { Headers = [("a.cuh", "other")] }, Options),
            KernelCache.Key(compiler, Source with { Headers = [] }, Options),
            KernelCache.Key(compiler, Source, ["--gpu-architecture=sm_80", "-DX=1"]),
            KernelCache.Key(compiler, Source, ["--gpu-architecture=sm_90a-DX=1"]),
            KernelCache.Key(new FakeCompiler { Identity = "nvrtc 12.8" }, Source, Options),
        ];
        Assert.Equal(keys.Length, keys.Distinct().Count());
    }

    [Theory]
    [InlineData("cut")]
    [InlineData("flipped")]
    [InlineData("foreign")]
    [InlineData("empty")]
    public void A_corrupt_entry_is_rebuilt(string harm)
    {
        var compiler = new FakeCompiler();
        var image = new KernelCache(_folder).Get(compiler, Source, Options);
        var file = Assert.Single(Directory.GetFiles(_folder));
        var content = File.ReadAllBytes(file);
        switch (harm)
        {
            case "cut":
                File.WriteAllBytes(file, content[..^3]);
                break;
            case "flipped":
                content[^5] ^= 1;
                File.WriteAllBytes(file, content);
                break;
            case "foreign":
                File.WriteAllText(file, "\u007fELF of somebody else, long enough to hold a header and more of the same");
                break;
            default:
                File.WriteAllBytes(file, []);
                break;
        }

        Assert.Equal(image, new KernelCache(_folder).Get(compiler, Source, Options));
        Assert.Equal(2, compiler.Calls);
        Assert.Equal(image, new KernelCache(_folder).Get(compiler, Source, Options));
        Assert.Equal(2, compiler.Calls);
    }

    [Fact]
    public void An_entry_the_driver_refuses_is_replaced()
    {
        var compiler = new FakeCompiler();
        var cache = new KernelCache(_folder);
        cache.Get(compiler, Source, Options);
        cache.Get(compiler, Source, Options, fresh: true);
        Assert.Equal(2, cache.Compilations);
        Assert.Single(Directory.GetFiles(_folder));
    }

    [Fact]
    public async Task Many_at_once_are_safe()
    {
        var compiler = new FakeCompiler();
        var results = await Task.WhenAll(Enumerable.Range(0, 64).Select(i => Task.Run(
            () => new KernelCache(_folder).Get(compiler, Source, Options, fresh: i % 3 == 0), TestContext.Current.CancellationToken)));
        Assert.All(results, result => Assert.Equal(results[0], result));
        Assert.Single(Directory.GetFiles(_folder));
    }

    [Fact]
    public void A_folder_that_cannot_be_written_is_no_error()
    {
        File.WriteAllText(_folder, "a file where the folder should be");
        try
        {
            Assert.NotEmpty(new KernelCache(Path.Combine(_folder, "kernels")).Get(new FakeCompiler(), Source, Options));
        }
        finally
        {
            File.Delete(_folder);
        }
    }

    [Fact]
    public void A_compile_failure_leaves_nothing()
    {
        var compiler = new FakeCompiler { Problem = "line 3: expected a ';'" };
        var error = Assert.Throws<CudaException>(() => new KernelCache(_folder).Get(compiler, Source, Options));
        Assert.Contains("expected a ';'", error.Message);
        Assert.False(Directory.Exists(_folder) && Directory.EnumerateFileSystemEntries(_folder).Any());
    }

    [Fact]
    public void The_users_folder_follows_the_environment()
    {
        static string At(params (string, string)[] set) =>
            KernelCache.UserFolder(name => set.FirstOrDefault(pair => pair.Item1 == name).Item2);
        Assert.Equal("/elsewhere", At((KernelCache.FolderVariable, "/elsewhere"), ("XDG_CACHE_HOME", "/xdg")));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal("/xdg/nablagen", At(("XDG_CACHE_HOME", "/xdg"), ("HOME", "/home/me")));
            Assert.Equal("/home/me/.cache/nablagen", At(("XDG_CACHE_HOME", "relative"), ("HOME", "/home/me")));
        }
    }

    private sealed class FakeCompiler : IKernelCompiler
    {
        private int _calls;

        public int Calls => _calls;

        public string Identity { get; init; } = "nvrtc 13.0";

        public string? Problem { get; init; }

        public byte[] Compile(KernelSource source, IReadOnlyList<string> options)
        {
            Interlocked.Increment(ref _calls);
            return Problem is null
                ? [.. Enumerable.Range(0, 5000).Select(i => (byte)(i * 7 + source.Text.Length))]
                : throw new CudaException(Problem);
        }
    }
}
