using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Models.Streaming;

/// <summary>Fills slots from the parts that several processes hold, in the order of the device's work: what was queued before is done with a slot by then.</summary>
/// <param name="sharing">The processes.</param>
internal sealed class GatheredLayers(ILayerSharing sharing) : ILayerUploads
{
    /// <param name="slot">The slot's number.</param>
    /// <param name="host">This process's part of a layer, on the device.</param>
    /// <param name="device">The slot.</param>
    public void Copy(int slot, ParameterPool host, ParameterPool device)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var own = host.Views(0, 1);
        var whole = Enumerable.Range(0, sharing.Count).Select(index => device.Views(index, sharing.Count)).ToArray();
        sharing.Gather([.. own.Values], [.. own.Keys.Select(type => whole.Select(views => views[type]).ToArray())]);
    }

    public void Await(int slot)
    {
    }

    public void Release(int slot)
    {
    }

    public void Dispose()
    {
    }
}
