using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Models.Streaming;

/// <summary>Makes streamers of a transformer's layers.</summary>
public static class LayerStreaming
{
    /// <summary>Makes a transformer's layers.</summary>
    /// <param name="count">Layers.</param>
    /// <param name="options">The device they compute on, and their type.</param>
    /// <param name="placement">How many stay on the device: fewer than there are.</param>
    /// <param name="make">Makes a layer with unread weights.</param>
    /// <param name="fill">Puts weights into each layer, which it gets by number; the weights of streamed layers are in the host's memory, then and where nobody shares them.</param>
    public static LayerStreamer<TLayer> Create<TLayer>(
        int count, ModuleOptions options, LayerPlacement placement, Func<ModuleOptions, TLayer> make, Action<int, TLayer> fill)
        where TLayer : nn.Module => placement.Sharing is { } sharing
        ? new(count, options, placement, make, fill, (_, _) => new GatheredLayers(sharing), host => host.Part(sharing.Index, sharing.Count, options.Device))
        : options.Device.type == DeviceType.CUDA
        ? new(count, options, placement, make, fill, (slots, hosts) => new CudaLayerUploads(options.Device, slots, hosts))
        : throw new ArgumentException($"layers can be streamed to a CUDA device only, found {options.Device}", nameof(options));
}
