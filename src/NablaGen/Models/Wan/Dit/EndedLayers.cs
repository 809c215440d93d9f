using NablaGen.Models.Streaming;

namespace NablaGen.Models.Wan.Dit;

/// <summary>Layers of which the first and the last have other matrices than those between, and stay on the device. It owns them all.</summary>
/// <param name="first">The first.</param>
/// <param name="between">All others.</param>
/// <param name="last">The last.</param>
internal sealed class EndedLayers(WanLayer first, ILayerSource<WanLayer> between, WanLayer last) : ILayerSource<WanLayer>
{
    /// <summary>How many are not between.</summary>
    public const int Ends = 2;

    /// <inheritdoc/>
    public int Count => between.Count + Ends;

    /// <inheritdoc/>
    public WanLayer Get(int layer) => layer == 0 ? first : layer == Count - 1 ? last : between.Get(layer - 1);

    /// <inheritdoc/>
    public void Dispose()
    {
        between.Dispose();
        first.Dispose();
        last.Dispose();
    }
}
