using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Device;

/// <summary>A point in a stream's work, for timing. Recording one does not wait.</summary>
public sealed class CudaEvent : IDisposable
{
    private readonly CudaDevice _device;
    private nint _handle;

    /// <summary>An event that is not recorded yet.</summary>
    public CudaEvent(CudaDevice device)
    {
        _device = device;
        device.MakeCurrent();
        Driver.Check(Driver.cuEventCreate(out _handle, 0), "cuEventCreate");
    }

    /// <summary>Puts it behind the stream's work so far; an earlier record is forgotten.</summary>
    public void Record(nint stream = 0)
    {
        _device.MakeCurrent();
        Driver.Check(Driver.cuEventRecord(_handle, stream), "cuEventRecord");
    }

    /// <summary>Milliseconds of the stream's time since an earlier event. Waits until this one has passed.</summary>
    public double MillisecondsSince(CudaEvent earlier)
    {
        _device.MakeCurrent();
        Driver.Check(Driver.cuEventSynchronize(_handle), "cuEventSynchronize");
        Driver.Check(Driver.cuEventElapsedTime(out var milliseconds, earlier._handle, _handle), "cuEventElapsedTime");
        return milliseconds;
    }

    /// <summary>Frees it.</summary>
    public void Dispose()
    {
        if (_handle != 0)
        {
            _device.MakeCurrent();
            _ = Driver.cuEventDestroy_v2(_handle);
            _handle = 0;
        }
    }
}
