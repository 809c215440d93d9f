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
    /// <param name="placement">How many stay on the device: of those between the first and the last where these have other matrices, and stay too.</param>
    /// <param name="fill">Puts weights into each layer, which it gets by number.</param>
    public static ILayerSource<WanLayer> Stream(DitConfig config, ModuleOptions options, LayerPlacement placement, Action<int, WanLayer> fill) => Between(
        config, options, fill, (count, put) => LayerStreaming.Create(count, options, placement, make => new WanLayer(config, ForPool(make)), put));

    internal static ILayerSource<WanLayer> Stream(
        DitConfig config, ModuleOptions options, LayerPlacement placement, Action<int, WanLayer> fill, Func<int, IReadOnlyList<ParameterPool>, ILayerUploads> uploads) => Between(
        config, options, fill, (count, put) => new LayerStreamer<WanLayer>(count, options, placement, make => new WanLayer(config, ForPool(make)), put, uploads));

    // A slot has room for layers of one form, so those of another stay out of them.
    private static ILayerSource<WanLayer> Between(
        DitConfig config, ModuleOptions options, Action<int, WanLayer> fill, Func<int, Action<int, WanLayer>, LayerStreamer<WanLayer>> stream)
    {
        if (!options.HasPlainEnds)
        {
            return stream(config.NumLayers, fill);
        }

        var last = config.NumLayers - 1;
        var made = new List<IDisposable>();
        try
        {
            var ends = new[] { 0, last }.Select(number =>
            {
                var layer = new WanLayer(config, options.OfLayer(number, config.NumLayers));
                made.Add(layer);
                fill(number, layer);
                return layer;
            }).ToArray();
            return new EndedLayers(ends[0], stream(last - 1, (number, layer) => fill(number + 1, layer)), ends[1]);
        }
        catch
        {
            made.ForEach(layer => layer.Dispose());
            throw;
        }
    }

    // The size of a matrix that stays as stored is known once it is read: pools, and the layer that gives their sizes, have plain ones.
    private static ModuleOptions ForPool(ModuleOptions options) =>
        options.MatrixFormat == MatrixFormats.Stored && (options.Pool is not null || options.Device.type == DeviceType.META) ? options.Dense : options;
}
