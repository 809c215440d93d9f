using System.Diagnostics;
using NablaGen.Cuda.Device;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>Times work where it runs: by device events on CUDA, with a full queue, by the clock on the CPU.</summary>
internal static class DeviceTimer
{
    /// <summary>Runs the work once to warm up, then several times; the median in milliseconds.</summary>
    public static double Median(Device device, Action work, int repeats)
    {
        if (device.type == DeviceType.CUDA)
        {
            return CudaTimer.QueuedMedian(CudaDevices.Open(device), work, repeats);
        }

        work();
        var times = new double[repeats];
        for (var i = 0; i < repeats; i++)
        {
            var watch = Stopwatch.StartNew();
            work();
            times[i] = watch.Elapsed.TotalMilliseconds;
        }

        Array.Sort(times);
        return times[repeats / 2];
    }
}
