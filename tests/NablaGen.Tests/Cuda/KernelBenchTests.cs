using System.Diagnostics;
using NablaGen.Cuda;
using NablaGen.Cuda.Compilation;

namespace NablaGen.Tests.Cuda;

public class KernelBenchTests
{
    [Fact, Trait("gpu", "true")]
    public void Every_kernel_can_be_timed()
    {
        using var bench = new KernelBench(Gpu.Require(), new BenchShape(2, 64, 3, 2, 2), repeats: 1);
        var times = bench.Run([0.5]).ToArray();
        Assert.Equal(18, times.Length);
        Assert.All(times, time => Assert.True(time.Milliseconds > 0 && time.Rate >= 0));
    }

    // The tables of docs/performance.md: dotnet NablaGen.Tests.dll -explicit only -trait bench=kernels -showLiveOutput
    [Theory(Explicit = true), Trait("bench", "kernels")]
    [InlineData("14B")]
    [InlineData("1.3B")]
    public void Print(string preset)
    {
        var device = Gpu.Require();
        var output = TestContext.Current.TestOutputHelper!;
        output.WriteLine($"{device.Name}, {device.Compiler}, {preset}");
        using var bench = new KernelBench(device, preset == "14B" ? BenchShape.Wan14B : BenchShape.Wan1B);
        foreach (var time in bench.Run([0.5, 0.2, 0.1]))
        {
            output.WriteLine(time.ToString());
        }
    }

    // The wait for the compiler, and for the cache after it.
    [Fact(Explicit = true), Trait("bench", "kernels")]
    public void Print_compile_times()
    {
        Gpu.Require();
        var folder = Directory.CreateTempSubdirectory("nablagen-bench-").FullName;
        var nvrtc = Nvrtc.Load();
        string[] options = ["--gpu-architecture=" + nvrtc.TargetFor(CudaDevice.Open().Capability), "--std=c++17"];
        foreach (var turn in new[] { "compiled", "from the cache" })
        {
            var watch = Stopwatch.StartNew();
            foreach (var name in KernelSource.Names)
            {
                new KernelCache(folder).Get(nvrtc, KernelSource.Load(name), options);
            }

            TestContext.Current.TestOutputHelper!.WriteLine(
                $"{KernelSource.Names.Count} kernels {turn}: {watch.Elapsed.TotalMilliseconds:0} ms");
        }

        Directory.Delete(folder, recursive: true);
    }
}
