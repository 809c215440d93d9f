using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// The last input frames of each causal layer, from one chunk of frames to the next, so that a video coded chunk by chunk equals one
/// coded whole (feat_cache, wan/modules/vae.py).
/// </summary>
public sealed class FeatureCache : IDisposable
{
    private readonly Dictionary<Module, Tensor> _frames = [];
    private readonly HashSet<Module> _started = [];

    /// <summary>Whether this is the layer's first chunk; from then on it is not.</summary>
    internal bool IsFirstChunk(Module layer) => _started.Add(layer);

    /// <summary>The frames kept for a layer, or null. [B, C, 1 or 2, H, W]</summary>
    internal Tensor? Get(Module layer) => _frames.GetValueOrDefault(layer);

    /// <summary>Keeps a copy of the last <paramref name="count"/> frames of a layer's input. [B, C, T, H, W]</summary>
    internal void Keep(Module layer, Tensor input, long count)
    {
        using var scope = NewDisposeScope();
        var kept = Math.Min(count, input.shape[2]);
        var frames = input.narrow(2, input.shape[2] - kept, kept).clone().DetachFromDisposeScope();
        if (_frames.Remove(layer, out var before))
        {
            before.Dispose();
        }

        _frames[layer] = frames;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var frames in _frames.Values)
        {
            frames.Dispose();
        }

        _frames.Clear();
        _started.Clear();
    }
}
