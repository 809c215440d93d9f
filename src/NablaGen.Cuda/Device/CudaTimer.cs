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
        work();
        using var start = new CudaEvent(device);
        using var end = new CudaEvent(device);
        var times = new double[repeats];
        for (var i = 0; i < repeats; i++)
        {
            start.Record(stream);
            work();
            end.Record(stream);
            times[i] = end.MillisecondsSince(start);
        }

        Array.Sort(times);
        return times[repeats / 2];
    }
}
