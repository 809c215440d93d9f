using static TorchSharp.torch;

namespace NablaGen.Models.Streaming;

/// <summary>Processes that hold a transformer's weights together, a part of each layer each, and put a layer together when it is needed.</summary>
public interface ILayerSharing
{
    /// <summary>This process, from 0.</summary>
    int Index { get; }

    /// <summary>How many there are.</summary>
    int Count { get; }

    /// <summary>Puts layers' parts together. All processes call this in the same order.</summary>
    /// <param name="own">This process's parts.</param>
    /// <param name="whole">Where the parts of all go: for each of this process's, one of each process, contiguous.</param>
    void Gather(IReadOnlyList<Tensor> own, IReadOnlyList<IReadOnlyList<Tensor>> whole);
}
