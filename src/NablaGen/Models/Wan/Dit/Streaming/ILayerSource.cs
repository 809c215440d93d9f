namespace NablaGen.Models.Wan.Dit.Streaming;

/// <summary>Where a transformer's blocks come from: they are in memory, or come when they are needed.</summary>
public interface ILayerSource : IDisposable
{
    /// <summary>Blocks.</summary>
    int Count { get; }

    /// <summary>
    /// A block with its weights in place. It may be used until the next one is asked for; work given to the device by then is done in
    /// order.
    /// </summary>
    /// <param name="layer">From 0 to <see cref="Count"/> − 1, in any order; one after another is fastest.</param>
    WanLayer Get(int layer);
}
