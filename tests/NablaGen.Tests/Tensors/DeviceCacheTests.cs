using System.Diagnostics;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Tensors;

/// <summary>Emptying libtorch's cache, which must not take the card's memory on the way.</summary>
public class DeviceCacheTests
{
    private const string Growing = "expandable_segments:True";
    private const string Limit = "per_process_memory_fraction:0.9999";

    [Theory]
    [InlineData(null, null, Growing, false)]
    [InlineData(null, true, Growing + "," + Limit, true)]
    [InlineData(null, false, "", false)]
    [InlineData("expandable_segments:False", true, "expandable_segments:False", false)]
    [InlineData("max_split_size_mb:128," + Growing, true, "max_split_size_mb:128," + Growing + "," + Limit, true)]
    [InlineData(Growing, false, Growing, false)]
    [InlineData(Growing + ",per_process_memory_fraction:0.5", true, Growing + ",per_process_memory_fraction:0.5", true)]
    public void Growing_segments_come_with_a_limit_that_refuses_early(string? own, bool? knowsLimit, string expected, bool hasLimit)
    {
        var settings = CudaAllocator.Choose(own, knowsLimit);
        Assert.Equal((expected, hasLimit), (settings.Value, settings.HasLimit));
    }

    [Theory]
    [InlineData("Of the allocated memory 1.50 GiB is allocated by PyTorch, and 20.00 MiB is reserved", 3L << 29)]
    [InlineData("CUDA out of memory. 141.00 GiB allowed; Of the allocated memory 512 bytes is allocated by PyTorch, with", 512L)]
    [InlineData("Of the allocated memory 2.25 MiB is allocated by PyTorch", 9L << 18)]
    [InlineData("CUDA out of memory", null)]
    public void The_allocators_counter_is_read_from_its_refusal(string refusal, long? expected) =>
        Assert.Equal(expected, DeviceCache.ParseAllocated(refusal));

    [Fact]
    [Trait("gpu", "true")]
    public void The_counter_follows_what_tensors_ask_for()
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        var before = DeviceCache.AllocatedBytes(CUDA);
        using var taken = empty([300L << 20], ScalarType.Byte, CUDA);
        Assert.InRange(DeviceCache.AllocatedBytes(CUDA) - before, 290L << 20, 310L << 20);
    }

    // Segments that grew once mapped all that the card had free, for about a second.
    [Fact]
    [Trait("gpu", "true")]
    public async Task Emptying_takes_nothing_from_the_device()
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        Assert.SkipUnless(CudaAllocator.RefusesEarly, "this libtorch knows no limit");
        var cuda = CudaDevices.Open(CUDA);
        empty([1L << 30], ScalarType.Byte, CUDA).Dispose();
        var free = cuda.Memory().Free;
        using var stop = new CancellationTokenSource();
        var least = Task.Run(
            () =>
            {
                var seen = free;
                while (!stop.IsCancellationRequested)
                {
                    seen = Math.Min(seen, cuda.Memory().Free);
                }

                return seen;
            },
            TestContext.Current.CancellationToken);
        var watch = Stopwatch.StartNew();
        for (var i = 0; i < 5; i++)
        {
            DeviceCache.Release(CUDA);
        }

        var elapsed = watch.Elapsed;
        await stop.CancelAsync();
        Assert.InRange(free - await least, long.MinValue, 64L << 20);
        Assert.InRange(elapsed.TotalSeconds, 0, 1);
    }
}
