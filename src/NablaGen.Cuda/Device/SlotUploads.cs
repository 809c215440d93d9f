using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Device;

/// <summary>
/// Copies from the host into slots of device memory on a stream of its own, beside the work of the default stream. A slot's copy waits for
/// the work that used what it held before; the work waits for the copy. Nothing here makes the host wait.
/// </summary>
/// <remarks>
/// Two events a slot: <c>filled</c> on the copy stream, <c>used</c> on the default stream. A new slot counts as in use until now, because
/// its memory may be what earlier work still reads (an allocator hands memory on as soon as its work is queued).
/// </remarks>
public sealed class SlotUploads : IDisposable
{
    private const uint NonBlocking = 1;     // CU_STREAM_NON_BLOCKING: not ordered with the default stream by itself
    private const uint WithoutTiming = 2;   // CU_EVENT_DISABLE_TIMING
    private const nint ComputeStream = 0;

    private readonly CudaDevice _device;
    private readonly (nint Filled, nint Used)[] _events;
    private nint _stream;

    /// <summary>A copy stream for a number of slots.</summary>
    public SlotUploads(CudaDevice device, int slots)
    {
        _device = device;
        _events = new (nint, nint)[slots];
        device.MakeCurrent();
        try
        {
            Driver.Check(Driver.cuStreamCreate(out _stream, NonBlocking), "cuStreamCreate");
            for (var slot = 0; slot < slots; slot++)
            {
                Driver.Check(Driver.cuEventCreate(out _events[slot].Filled, WithoutTiming), "cuEventCreate");
                Driver.Check(Driver.cuEventCreate(out _events[slot].Used, WithoutTiming), "cuEventCreate");
                Release(slot);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Fills a slot once the work that <see cref="Release"/> marked is done.</summary>
    /// <param name="slot">Which.</param>
    /// <param name="pieces">Device address, address in pinned host memory, and bytes of each piece.</param>
    public void Copy(int slot, IEnumerable<(nint Destination, nint Source, long Bytes)> pieces)
    {
        _device.MakeCurrent();
        Driver.Check(Driver.cuStreamWaitEvent(_stream, _events[slot].Used, 0), "cuStreamWaitEvent");
        foreach (var (destination, source, bytes) in pieces)
        {
            Driver.Check(Driver.cuMemcpyHtoDAsync_v2(destination, source, (nuint)bytes, _stream), "cuMemcpyHtoDAsync");
        }

        Driver.Check(Driver.cuEventRecord(_events[slot].Filled, _stream), "cuEventRecord");
    }

    /// <summary>Has the default stream's work from here on wait for the slot's last copy.</summary>
    public void Await(int slot)
    {
        _device.MakeCurrent();
        Driver.Check(Driver.cuStreamWaitEvent(ComputeStream, _events[slot].Filled, 0), "cuStreamWaitEvent");
    }

    /// <summary>Marks the default stream's work so far as the last that uses what the slot holds.</summary>
    public void Release(int slot)
    {
        _device.MakeCurrent();
        Driver.Check(Driver.cuEventRecord(_events[slot].Used, ComputeStream), "cuEventRecord");
    }

    /// <summary>Waits for the copies under way, then frees the stream: the slots' and the host's memory may go after this.</summary>
    public void Dispose()
    {
        _device.MakeCurrent();
        if (_stream != 0)
        {
            _ = Driver.cuStreamSynchronize(_stream);
            _ = Driver.cuStreamDestroy_v2(_stream);
            _stream = 0;
        }

        for (var slot = 0; slot < _events.Length; slot++)
        {
            Destroy(_events[slot].Filled);
            Destroy(_events[slot].Used);
            _events[slot] = default;
        }
    }

    private static void Destroy(nint handle)
    {
        if (handle != 0)
        {
            _ = Driver.cuEventDestroy_v2(handle);
        }
    }
}
