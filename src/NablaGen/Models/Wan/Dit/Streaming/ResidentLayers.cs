using TorchSharp.Modules;

namespace NablaGen.Models.Wan.Dit.Streaming;

/// <summary>All blocks in memory, as parts of the model that owns them.</summary>
internal sealed class ResidentLayers(ModuleList<WanLayer> blocks) : ILayerSource
{
    public int Count => blocks.Count;

    public WanLayer Get(int layer) => blocks[layer];

    public void Dispose()
    {
    }
}
