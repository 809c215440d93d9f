using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Device;

/// <summary>
/// A stretch of the host's memory that stays where it is until disposed of, so that the device copies from it at full speed while both go
/// on working. The memory itself is the caller's and must outlive this.
/// </summary>
public sealed class PinnedMemory : IDisposable
{
    private const uint ForEveryContext = 1; // CU_MEMHOSTREGISTER_PORTABLE
    private const int OutOfMemory = 2;     // CUDA_ERROR_OUT_OF_MEMORY

    private readonly CudaDevice _device;
    private nint _start;

    /// <summary>Pins whole pages: no other pinned stretch may have a part of them.</summary>
    /// <param name="device">Whose driver is asked.</param>
    /// <param name="start">Start of a page.</param>
    /// <param name="bytes">Length, a multiple of the page's size.</param>
    /// <exception cref="CudaException">The system does not let go of that much memory.</exception>
    public PinnedMemory(CudaDevice device, nint start, long bytes)
    {
        if (start % Environment.SystemPageSize != 0 || bytes % Environment.SystemPageSize != 0)
        {
            throw new ArgumentException($"{bytes} bytes at {start:x}: not whole pages of {Environment.SystemPageSize} bytes");
        }

        _device = device;
        device.MakeCurrent();
        var result = Driver.cuMemHostRegister_v2(start, (nuint)bytes, ForEveryContext);
        if (result == OutOfMemory)
        {
            throw Refusal(bytes);
        }

        Driver.Check(result, $"Pinning {bytes >> 20} MiB of the host's memory (cuMemHostRegister)");
        _start = start;
    }

    /// <summary>
    /// The driver says "out of memory" here too, but means the host's: no <see cref="CudaException.IsOutOfMemory"/>, or one would be told to
    /// take less of the device's, and so to pin more.
    /// </summary>
    internal static CudaException Refusal(long bytes) => new(
        $"the host's memory, not the GPU's, ran short: {bytes >> 20} MiB of it could not be pinned (cuMemHostRegister). Free some of the machine's memory, "
        + "raise what may be locked (ulimit -l, or the container's limit), or keep more of the model on the GPU");

    /// <summary>Gives the pages back to the system's paging. No copy from them may be under way.</summary>
    public void Dispose()
    {
        if (_start != 0)
        {
            _device.MakeCurrent();
            _ = Driver.cuMemHostUnregister(_start);
            _start = 0;
        }
    }
}
