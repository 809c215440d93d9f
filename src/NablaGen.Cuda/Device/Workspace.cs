namespace NablaGen.Cuda.Device;

/// <summary>Scratch memory that grows to what was asked for and is kept between calls.</summary>
internal sealed class Workspace(CudaDevice device) : IDisposable
{
    private CudaBuffer? _buffer;

    /// <summary>The address of at least that many bytes. What an earlier call gave is no longer valid.</summary>
    public nint Take(long bytes)
    {
        if (_buffer is null || _buffer.Bytes < bytes)
        {
            _buffer?.Dispose();
            _buffer = null;
            _buffer = new CudaBuffer(device, bytes);
        }

        return _buffer.Pointer;
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _buffer?.Dispose();
        _buffer = null;
    }
}
