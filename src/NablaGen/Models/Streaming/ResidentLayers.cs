using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Models.Streaming;

/// <summary>All layers in memory, as parts of the model that owns them.</summary>
internal sealed class ResidentLayers<TLayer>(ModuleList<TLayer> layers) : ILayerSource<TLayer>
    where TLayer : nn.Module
{
    public int Count => layers.Count;

    public TLayer Get(int layer) => layers[layer];

    public void Dispose()
    {
    }
}
