using NablaGen.Cuda.Native;

namespace NablaGen.Cuda;

/// <summary>Times work on a stream by device events.</summary>
public static class CudaTimer
{
    /// <summary>
    /// Runs <paramref name="work"/> once to warm up, then <paramref name="repeats"/> times; the median in milliseconds.
    /// </summary>
    public static double Median(CudaDevice device, Action work, int repeats = 5, nint stream = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(repeats, 1);
        device.MakeCurrent();
        work();
        Driver.Check(Driver.cuEventCreate(out var start, 0), "cuEventCreate");
        Driver.Check(Driver.cuEventCreate(out var end, 0), "cuEventCreate");
        try
        {
            var times = new double[repeats];
            for (var i = 0; i < repeats; i++)
            {
                Driver.Check(Driver.cuEventRecord(start, stream), "cuEventRecord");
                work();
                Driver.Check(Driver.cuEventRecord(end, stream), "cuEventRecord");
                Driver.Check(Driver.cuEventSynchronize(end), "cuEventSynchronize");
                Driver.Check(Driver.cuEventElapsedTime(out var milliseconds, start, end), "cuEventElapsedTime");
                times[i] = milliseconds;
            }

            Array.Sort(times);
            return times[repeats / 2];
        }
        finally
        {
            _ = Driver.cuEventDestroy_v2(start);
            _ = Driver.cuEventDestroy_v2(end);
        }
    }
}
