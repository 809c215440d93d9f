using System.Runtime.InteropServices;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Communication;

/// <summary>
/// This process's end of an NCCL communicator. What it sends and receives goes onto stream 0, TorchSharp's own, so that it runs in order with
/// TorchSharp's work and our kernels': nobody waits on the host.
/// </summary>
public sealed class NcclLink : IDisposable
{
    /// <summary>Bytes of a communicator's name.</summary>
    public const int IdBytes = NcclNative.IdBytes;

    private readonly Lock _gate = new();
    private nint _comm;

    private NcclLink(nint comm) => _comm = comm;

    /// <summary>NCCL's version, such as "2.28.9".</summary>
    /// <exception cref="CudaException">There is no NCCL; the message says what was looked for.</exception>
    public static string Version()
    {
        NativeLibraries.RequireNccl();
        NcclNative.Check(NcclNative.ncclGetVersion(out var version), "ncclGetVersion");
        return $"{version / 10000}.{version / 100 % 100}.{version % 100}";
    }

    /// <summary>A name for a new communicator, which one rank makes and tells all others.</summary>
    /// <exception cref="CudaException">There is no NCCL, or it refused.</exception>
    public static byte[] NewId()
    {
        NativeLibraries.RequireNccl();
        NcclNative.Check(NcclNative.ncclGetUniqueId(out var id), "ncclGetUniqueId");
        return MemoryMarshal.AsBytes(new ReadOnlySpan<NcclNative.UniqueId>(in id)).ToArray();
    }

    /// <summary>Joins a communicator; waits for all its ranks.</summary>
    /// <param name="device">This rank's device: no other rank may have it.</param>
    /// <param name="id">The name that <see cref="NewId"/> made.</param>
    /// <param name="rank">This rank.</param>
    /// <param name="size">How many there are.</param>
    /// <exception cref="CudaException">There is no NCCL, or it refused.</exception>
    public static NcclLink Join(CudaDevice device, ReadOnlySpan<byte> id, int rank, int size)
    {
        NativeLibraries.RequireNccl();
        device.MakeCurrent();
        NcclNative.Check(NcclNative.ncclCommInitRank(out var comm, size, MemoryMarshal.Read<NcclNative.UniqueId>(id), rank), "ncclCommInitRank");
        return new NcclLink(comm);
    }

    /// <summary>What is sent and received until <see cref="End"/> happens at once.</summary>
    public static void Begin() => NcclNative.Check(NcclNative.ncclGroupStart(), "ncclGroupStart");

    /// <summary>Puts what came since <see cref="Begin"/> on the stream.</summary>
    public void End()
    {
        var comm = Open();
        NcclNative.Check(NcclNative.ncclGroupEnd(), "ncclGroupEnd", comm);
        NcclNative.Check(NcclNative.ncclCommGetAsyncError(comm, out var error), "ncclCommGetAsyncError", comm);
        NcclNative.Check(error, "NCCL", comm);
    }

    /// <summary>Sends memory of the device to a rank.</summary>
    public void Send(nint address, long bytes, int peer) =>
        NcclNative.Check(NcclNative.ncclSend(address, (nuint)bytes, NcclNative.UInt8, peer, Open(), 0), "ncclSend", _comm);

    /// <summary>Receives memory of the device from a rank.</summary>
    public void Receive(nint address, long bytes, int peer) =>
        NcclNative.Check(NcclNative.ncclRecv(address, (nuint)bytes, NcclNative.UInt8, peer, Open(), 0), "ncclRecv", _comm);

    /// <summary>Ends what is under way, from any thread: kernels that wait for another rank return.</summary>
    public void Abort() => Close(NcclNative.ncclCommAbort);

    /// <summary>Leaves the communicator once its work is done.</summary>
    public void Dispose() => Close(NcclNative.ncclCommDestroy);

    private nint Open()
    {
        var comm = Volatile.Read(ref _comm);
        return comm != 0 ? comm : throw new CudaException("the NCCL communicator was aborted");
    }

    private void Close(Func<nint, int> end)
    {
        lock (_gate)
        {
            var comm = Interlocked.Exchange(ref _comm, 0);
            if (comm != 0)
            {
                _ = end(comm);
            }
        }
    }
}
