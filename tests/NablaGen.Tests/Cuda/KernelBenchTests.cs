using System.Diagnostics;
using NablaGen.Cuda.Benchmarks;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cuda;

public class KernelBenchTests
{
    private static readonly BenchShape Small = new("small", 2, 128, 3, 2, 2, 512);

    [Fact]
    public void Every_kernel_is_listed_once()
    {
        Assert.Equal(KernelBench.Names.Count, KernelBench.Names.Distinct().Count());
        Assert.Equal([.. KernelSource.Names.Append("nabla_mask").Append("fp8_linear").Order()], KernelBench.Names.Order());
    }

    [Fact, Trait("gpu", "true")]
    public void Every_kernel_can_be_timed()
    {
        var device = Gpu.Require();
        var rates = DeviceRates.Measure(device, repeats: 1);
        var times = KernelBench.Run(device, [Small], rates, repeats: 1, densities: [0.5]).ToArray();
        Assert.Equal(KernelBench.Names, times.Select(time => time.Kernel).Distinct());
        Assert.All(times, time => Assert.Null(time.Error));
        Assert.All(times.Where(time => time.Skipped is null), time => Assert.True(time is { Milliseconds: > 0, Rate: > 0 } && time.Fastest <= time.Slowest, time.ToString()));
    }

    [Fact, Trait("gpu", "true")]
    public void One_that_fails_is_reported_and_the_others_go_on()
    {
        // No kernel has heads of 32 columns; the passes that know no heads run all the same.
        var times = KernelBench.Run(Gpu.Require(), [Small with { HeadSize = 32 }], repeats: 1, densities: [0.5]).ToArray();
        Assert.Contains("head size 32", times.First(time => time.Kernel == "block_attention_sm80").Error, StringComparison.OrdinalIgnoreCase);
        Assert.Null(times.Single(time => time.Kernel == "gelu_tanh").Error);
        Assert.Equal(KernelBench.Names, times.Select(time => time.Kernel).Distinct());
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
