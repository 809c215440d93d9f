using NablaGen.Models.Streaming;
using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;
using TorchSharp;

namespace NablaGen.Models.Wan.Dit;

/// <summary>Wan's layers of which only some stay on the device.</summary>
public static class WanLayers
{
    /// <summary>Makes a transformer's layers.</summary>
    /// <param name="config">The transformer's sizes.</param>
    /// <param name="options">The device they compute on, and their type.</param>
    /// <param name="placement">How many stay on the device.</param>
    /// <param name="fill">Puts weights into each layer, which it gets by number.</param>
    public static LayerStreamer<WanLayer> Stream(DitConfig config, ModuleOptions options, LayerPlacement placement, Action<int, WanLayer> fill) =>
        LayerStreaming.Create(config.NumLayers, options, placement, make => new WanLayer(config, ForPool(make)), fill);

    internal static LayerStreamer<WanLayer> Stream(
        DitConfig config, ModuleOptions options, LayerPlacement placement, Action<int, WanLayer> fill, Func<int, IReadOnlyList<ParameterPool>, ILayerUploads> uploads) =>
        new(config.NumLayers, options, placement, make => new WanLayer(config, ForPool(make)), fill, uploads);

    // The size of a matrix that stays as stored is known once it is read: pools, and the layer that gives their sizes, have plain ones.
    private static ModuleOptions ForPool(ModuleOptions options) =>
        options.MatrixFormat == MatrixFormats.Stored && (options.Pool is not null || options.Device.type == DeviceType.META) ? options.Dense : options;
}
