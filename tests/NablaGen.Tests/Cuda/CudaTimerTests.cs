using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cuda;

[Trait("gpu", "true")]
public class CudaTimerTests
{
    [Fact]
    public void With_a_full_queue_the_hosts_time_between_launches_is_not_measured()
    {
        var device = Gpu.Require();
        using var from = new CudaBuffer(device, 1 << 20);
        using var to = new CudaBuffer(device, 1 << 20);
        void Work()
        {
            from.CopyTo(to);
            Thread.Sleep(2);
            from.CopyTo(to);
        }

        Assert.InRange(CudaTimer.Median(device, Work, repeats: 3), 2, 1000);
        Assert.InRange(CudaTimer.QueuedMedian(device, Work, repeats: 3), 1e-4, 0.5);
    }

    [Fact]
    public void Work_that_waits_for_the_device_ends_all_the_same()
    {
        var device = Gpu.Require();
        using var buffer = new CudaBuffer(device, 1 << 20);
        Assert.True(CudaTimer.QueuedMedian(device, device.Synchronize, repeats: 1) >= 0);
    }
}
