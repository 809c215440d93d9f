using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// The last input frames of each causal layer, from one chunk of frames to the next, so that a video coded chunk by chunk equals one
/// coded whole (feat_cache, wan/modules/vae.py); and what else is made once a video.
/// </summary>
public sealed class FeatureCache : IDisposable
{
    private readonly Dictionary<Module, Tensor> _frames = [];
    private readonly Dictionary<Module, IReadOnlyList<Tensor>> _apart = [];
    private readonly Dictionary<Module, Tensor> _packed = [];
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

    /// <summary>The frames kept for a layer that reads each by itself; none at first. [B, C, 1, H, W] each</summary>
    internal IReadOnlyList<Tensor> Frames(Module layer) => _apart.GetValueOrDefault(layer, []);

    /// <summary>Keeps the last frames of the input of such a layer.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="frames">At most as many as it sees before a chunk.</param>
    /// <param name="copy">Whether to keep copies: else a frame keeps all of the tensor alive that it is a part of.</param>
    internal void Keep(Module layer, IEnumerable<Tensor> frames, bool copy)
    {
        IReadOnlyList<Tensor> kept = [.. frames.Select(frame => (copy ? frame.clone() : frame.alias()).DetachFromDisposeScope())];
        DisposeAll(_apart.GetValueOrDefault(layer, []));
        _apart[layer] = kept;
    }

    /// <summary>A layer's weights in its kernel's order, made once a video.</summary>
    internal Tensor Packed(Module layer, Func<Tensor> make)
    {
        if (!_packed.TryGetValue(layer, out var packed))
        {
            _packed.Add(layer, packed = make().DetachFromDisposeScope());
        }

        return packed;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        DisposeAll([.. _frames.Values, .. _packed.Values, .. _apart.Values.SelectMany(frames => frames)]);
        _frames.Clear();
        _packed.Clear();
        _apart.Clear();
        _started.Clear();
    }

    private static void DisposeAll(IEnumerable<Tensor> tensors)
    {
        foreach (var tensor in tensors)
        {
            tensor.Dispose();
        }
    }
}
