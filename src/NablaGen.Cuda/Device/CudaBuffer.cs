using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Device;

/// <summary>A piece of device memory of our own (cuMemAlloc), for workspaces and tests. Freed by <see cref="Dispose"/>.</summary>
public sealed unsafe class CudaBuffer : IDisposable
{
    private readonly CudaDevice _device;

    /// <summary>Takes <paramref name="bytes"/> of memory; what it holds at first is undefined.</summary>
    /// <exception cref="CudaException">The device has not that much free (<see cref="CudaException.IsOutOfMemory"/>).</exception>
    public CudaBuffer(CudaDevice device, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 0);
        _device = device;
        Bytes = bytes;
        device.MakeCurrent();
        var result = Driver.cuMemAlloc_v2(out var pointer, (nuint)Math.Max(bytes, 16));
        if (result == 2)
        {
            var (free, total) = device.Memory();
            throw new CudaException(
                $"{device.Name} is out of memory: {bytes >> 20} MiB asked, {free >> 20} of {total >> 20} MiB free.", result);
        }

        Driver.Check(result, "cuMemAlloc");
        Pointer = pointer;
    }

    /// <summary>Device address, at least 256-byte aligned.</summary>
    public nint Pointer { get; private set; }

    /// <summary>Size in bytes.</summary>
    public long Bytes { get; }

    /// <summary>A buffer that holds a copy of <paramref name="values"/>.</summary>
    public static CudaBuffer From<T>(CudaDevice device, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        var buffer = new CudaBuffer(device, (long)values.Length * sizeof(T));
        buffer.Write(values);
        return buffer;
    }

    /// <summary>Copies values to the start of the buffer, after all earlier work of the default stream.</summary>
    public void Write<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        RequireRoom<T>(values.Length);
        _device.MakeCurrent();
        fixed (T* at = values)
        {
            Driver.Check(Driver.cuMemcpyHtoD_v2(Pointer, at, (nuint)((long)values.Length * sizeof(T))), "cuMemcpyHtoD");
        }
    }

    /// <summary>Copies <paramref name="count"/> values to the host, after all earlier work of the default stream.</summary>
    /// <param name="count">How many.</param>
    /// <param name="first">The first of them.</param>
    public T[] ToArray<T>(int count, long first = 0)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        RequireRoom<T>(first + count);
        var values = new T[count];
        _device.MakeCurrent();
        fixed (T* at = values)
        {
            Driver.Check(Driver.cuMemcpyDtoH_v2(at, Pointer + (nint)(first * sizeof(T)), (nuint)((long)count * sizeof(T))), "cuMemcpyDtoH");
        }

        return values;
    }

    /// <summary>Sets every byte.</summary>
    public void Fill(byte value, nint stream = 0)
    {
        _device.MakeCurrent();
        Driver.Check(Driver.cuMemsetD8Async(Pointer, value, (nuint)Bytes, stream), "cuMemsetD8Async");
    }

    /// <summary>Puts a copy of all of it to the start of another buffer, at least as large, on the stream.</summary>
    public void CopyTo(CudaBuffer other, nint stream = 0)
    {
        other.RequireRoom<byte>(Bytes);
        Copy(Pointer, other.Pointer, Bytes, stream);
    }

    /// <summary>Puts a copy of some bytes to another place of the buffer on the stream; the two may not overlap.</summary>
    internal void CopyWithin(long from, long to, long bytes, nint stream = 0)
    {
        RequireRoom<byte>(Math.Max(from, to) + bytes);
        Copy(Pointer + (nint)from, Pointer + (nint)to, bytes, stream);
    }

    /// <summary>Frees the memory once the work that may use it is done (the driver waits).</summary>
    public void Dispose()
    {
        if (Pointer != 0)
        {
            _device.MakeCurrent();
            _ = Driver.cuMemFree_v2(Pointer);
            Pointer = 0;
        }
    }

    private void Copy(nint from, nint to, long bytes, nint stream)
    {
        _device.MakeCurrent();
        Driver.Check(Driver.cuMemcpyDtoDAsync_v2(to, from, (nuint)bytes, stream), "cuMemcpyDtoDAsync");
    }

    private void RequireRoom<T>(long count)
        where T : unmanaged
    {
        if (count * sizeof(T) > Bytes)
        {
            throw new ArgumentException($"A buffer of {Bytes} bytes does not hold {count} values of {sizeof(T)} bytes.");
        }
    }
}
