namespace NablaGen.Cuda.Device;

/// <summary>Times work on a stream by device events.</summary>
public static class CudaTimer
{
    /// <summary>
    /// Runs <paramref name="work"/> once to warm up, then <paramref name="repeats"/> times; the median in milliseconds.
    /// </summary>
    public static double Median(CudaDevice device, Action work, int repeats = 5, nint stream = 0) =>
        Times(device, work, repeats, stream: stream)[repeats / 2];

    /// <summary>
    /// The median in milliseconds with a full queue: the device starts only when the host has queued the work, so launches cost nothing that
    /// is measured, as in a pass in which the host is ahead.
    /// </summary>
    /// <param name="device">Where.</param>
    /// <param name="work">What to time; a few dozen launches at most, and nothing that waits for the device.</param>
    /// <param name="repeats">Times to take.</param>
    /// <param name="stream">The stream.</param>
    public static double QueuedMedian(CudaDevice device, Action work, int repeats = 5, nint stream = 0)
    {
        // Short work runs several times between two events, whose own resolution is a microsecond.
        const double least = 1;
        const int mostAtOnce = 16;
        ArgumentOutOfRangeException.ThrowIfLessThan(repeats, 1);
        work();
        using var start = new CudaEvent(device);
        using var end = new CudaEvent(device);
        double Run(int atOnce)
        {
            using var gate = new StreamGate(device, stream);
            start.Record(stream);
            for (var i = 0; i < atOnce; i++)
            {
                work();
            }

            end.Record(stream);
            gate.Open();
            return end.MillisecondsSince(start) / atOnce;
        }

        var atOnce = (int)Math.Clamp(Math.Ceiling(least / Math.Max(Run(1), 1e-3)), 1, mostAtOnce);
        var times = new double[repeats];
        for (var i = 0; i < repeats; i++)
        {
            times[i] = Run(atOnce);
        }

        Array.Sort(times);
        return times[repeats / 2];
    }

    /// <summary>
    /// Runs <paramref name="work"/> once to warm up, then <paramref name="repeats"/> times; milliseconds, ascending.
    /// </summary>
    /// <param name="device">Where.</param>
    /// <param name="work">What to time.</param>
    /// <param name="repeats">Times to take.</param>
    /// <param name="atLeast">
    /// The milliseconds to time at once: shorter work runs several times between two events, of which the mean counts, so that the wait
    /// for a launch is not taken for the kernel's time. 0 times each run alone.
    /// </param>
    /// <param name="stream">The stream.</param>
    public static double[] Times(CudaDevice device, Action work, int repeats, double atLeast = 0, nint stream = 0)
    {
        const int mostAtOnce = 64;
        ArgumentOutOfRangeException.ThrowIfLessThan(repeats, 1);
        work();
        using var start = new CudaEvent(device);
        using var end = new CudaEvent(device);
        double Run(int atOnce)
        {
            start.Record(stream);
            for (var i = 0; i < atOnce; i++)
            {
                work();
            }

            end.Record(stream);
            return end.MillisecondsSince(start) / atOnce;
        }

        var atOnce = atLeast > 0 ? (int)Math.Clamp(Math.Ceiling(atLeast / Math.Max(Run(1), 1e-3)), 1, mostAtOnce) : 1;
        var times = new double[repeats];
        for (var i = 0; i < repeats; i++)
        {
            times[i] = Run(atOnce);
        }

        Array.Sort(times);
        return times;
    }
}
