using static TorchSharp.torch;

namespace NablaGen.Models.Streaming;

/// <summary>Where a transformer's layers come from: they are in the device's memory, or streamed to it when they are needed.</summary>
public interface ILayerSource<TLayer> : IDisposable
    where TLayer : nn.Module
{
    /// <summary>Layers.</summary>
    int Count { get; }

    /// <summary>
    /// A layer with its weights in place. It may be used until the next one is asked for; work queued on the device by then is done in
    /// order.
    /// </summary>
    /// <param name="layer">From 0 to <see cref="Count"/> − 1, in any order; one after another is fastest.</param>
    TLayer Get(int layer);
}
