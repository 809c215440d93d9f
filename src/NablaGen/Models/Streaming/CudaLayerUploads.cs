using NablaGen.Cuda.Device;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Models.Streaming;

/// <summary>Copies on a stream of its own, from host memory that is pinned until disposal.</summary>
internal sealed class CudaLayerUploads : ILayerUploads
{
    private readonly List<PinnedMemory> _pinned = [];
    private readonly SlotUploads _uploads;

    /// <summary>Pins the host's pools.</summary>
    /// <param name="device">A CUDA device.</param>
    /// <param name="slots">Slots to fill.</param>
    /// <param name="hosts">The memory that will be copied from.</param>
    public CudaLayerUploads(Device device, int slots, IEnumerable<ParameterPool> hosts)
    {
        var cuda = CudaDevices.Open(device);
        _uploads = new SlotUploads(cuda, slots);
        try
        {
            foreach (var (_, start, bytes) in hosts.SelectMany(host => host.Pieces))
            {
                _pinned.Add(new PinnedMemory(cuda, start, bytes));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public void Copy(int slot, ParameterPool host, ParameterPool device) => _uploads.Copy(
        slot, device.Pieces.Join(host.Pieces, to => to.Type, from => from.Type, (to, from) => (to.Start, from.Start, Math.Min(to.Bytes, from.Bytes))));

    public void Await(int slot) => _uploads.Await(slot);

    public void Release(int slot) => _uploads.Release(slot);

    public void Dispose()
    {
        _uploads.Dispose();
        _pinned.ForEach(memory => memory.Dispose());
        _pinned.Clear();
    }
}
