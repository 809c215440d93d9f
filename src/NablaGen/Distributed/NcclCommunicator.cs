using NablaGen.Cuda;
using NablaGen.Cuda.Communication;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Distributed;

/// <summary>Tensors between GPUs by NCCL, in the order of TorchSharp's own work: nothing waits on the host.</summary>
public sealed class NcclCommunicator : ICommunicator
{
    private readonly RankChannel _channel;
    private readonly NcclLink _link;
    private readonly KernelAddress _at;

    /// <summary>Joins the other ranks.</summary>
    /// <param name="channel">The job; stays the caller's.</param>
    /// <param name="device">This rank's GPU: no other rank may have it.</param>
    /// <exception cref="NablaGenException">There is no NCCL, it refused, or a rank was lost meanwhile.</exception>
    public NcclCommunicator(RankChannel channel, Device device)
    {
        (_channel, _at) = (channel, new KernelAddress(device));
        // Multicast needs rights that containers rarely have, and what is exchanged here, from one rank to one, has no use for it.
        NativeEnvironment.SetDefault("NCCL_NVLS_ENABLE", "0");
        // libtorch's growing segments are open to their own GPU alone: of two ranks in one process neither may write into the other's tensors.
        NativeEnvironment.SetDefault("NCCL_P2P_DIRECT_DISABLE", "1");
        try
        {
            var id = channel.Share(channel.Place.Rank == 0 ? NcclLink.NewId() : [], isPatient: true)[0];
            _link = NcclLink.Join(CudaDevices.Open(device), id, channel.Place.Rank, channel.Place.Size);
        }
        catch (CudaException error)
        {
            throw new NablaGenException(error.Message, error);
        }

        channel.OnFailure(_ => _link.Abort());
        Connect(device);
    }

    /// <inheritdoc/>
    public int Rank => _channel.Place.Rank;

    /// <inheritdoc/>
    public int Size => _channel.Place.Size;

    /// <inheritdoc/>
    public void Exchange(IReadOnlyList<Transfer> sends, IReadOnlyList<Transfer> receives)
    {
        _channel.Reach();
        using var scope = NewDisposeScope();
        var outgoing = sends.Select(send => send with { Tensor = send.Tensor.contiguous() }).ToArray();
        try
        {
            NcclLink.Begin();
            foreach (var (peer, tensor) in outgoing)
            {
                _link.Send(_at.Of(tensor, tensor.dtype, "a tensor to send"), Bytes(tensor), peer);
            }

            foreach (var (peer, tensor) in receives)
            {
                _link.Receive(_at.Of(tensor, tensor.dtype, "a tensor to receive into"), Bytes(tensor), peer);
            }

            _link.End();
        }
        catch (CudaException error)
        {
            throw _channel.Lost($"{_channel.Name}: {error.Message}");
        }

        // All is on the stream, in whose order libtorch gives the memory to others.
        GC.KeepAlive(outgoing);
        GC.KeepAlive(receives);
    }

    /// <inheritdoc/>
    public byte[][] Share(ReadOnlySpan<byte> own, bool isPatient = false) => _channel.Share(own, isPatient);

    /// <inheritdoc/>
    public void Abort(string line) => _channel.Fail(line);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_channel.Fault is null)
        {
            _link.Dispose();
        }
        else
        {
            _link.Abort();
        }
    }

    // NCCL takes its buffers with the first message to each rank: before the memory is planned.
    private void Connect(Device device)
    {
        using var scope = NewDisposeScope();
        var others = Enumerable.Range(0, Size).Where(rank => rank != Rank).ToArray();
        var (own, got) = (zeros([1], ScalarType.Float32, device), zeros([others.Length], ScalarType.Float32, device));
        Exchange([.. others.Select(rank => new Transfer(rank, own))], [.. others.Select((rank, i) => new Transfer(rank, got.narrow(0, i, 1)))]);
        CudaDevices.Open(device).Synchronize();
    }

    private static long Bytes(Tensor tensor) => tensor.numel() * tensor.element_size();
}
