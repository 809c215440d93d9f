using System.Diagnostics;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>What the benchmarks of whole models share.</summary>
internal static class ModelTimer
{
    /// <summary>Times some work several times, each to its end on the device. Milliseconds, ascending.</summary>
    public static double[] Run(Device device, int repeats, Action work)
    {
        var times = new double[repeats];
        for (var i = 0; i < repeats; i++)
        {
            Wait(device);
            var watch = Stopwatch.StartNew();
            work();
            Wait(device);
            times[i] = watch.Elapsed.TotalMilliseconds;
        }

        Array.Sort(times);
        return times;
    }

    /// <summary>On CUDA what libtorch's allocator has taken from the device, which it does not give back: the peak so far. On the CPU the process's peak.</summary>
    public static long PeakMemory(Device device)
    {
        if (device.type == DeviceType.CUDA)
        {
            var (free, total) = CudaDevices.Open(device).Memory();
            return total - free;
        }

        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }

    /// <summary>On CUDA as <see cref="PeakMemory"/>; on the CPU what the process has now.</summary>
    public static long Memory(Device device)
    {
        if (device.type == DeviceType.CUDA)
        {
            return PeakMemory(device);
        }

        using var process = Process.GetCurrentProcess();
        return process.WorkingSet64;
    }

    /// <summary>Waits until the device has done all that was put on it.</summary>
    public static void Wait(Device device)
    {
        if (device.type == DeviceType.CUDA)
        {
            cuda.synchronize(device);
        }
    }
}
