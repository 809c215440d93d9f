using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// The last input frames of each causal layer, from one chunk of frames to the next, so that a video coded chunk by chunk equals one
/// coded whole (feat_cache, wan/modules/vae.py); and memory of frames that are no longer needed, for the next ones of their size.
/// </summary>
public sealed class FeatureCache : IDisposable
{
    private readonly Dictionary<Module, Tensor> _frames = [];
    private readonly Dictionary<Module, IReadOnlyList<Tensor>> _apart = [];
    private readonly List<Tensor> _spare = [];
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
    /// <param name="frames">At most as many as it sees before a chunk, each from <see cref="Rent"/>; they are the cache's then.</param>
    /// <remarks>Those that were kept before and are not now are nobody's: see <see cref="GiveBack"/>.</remarks>
    internal void Keep(Module layer, IEnumerable<Tensor> frames) => _apart[layer] = [.. frames];

    /// <summary>
    /// Memory for a frame, of one that was given back if there is any of its size: frames that are kept come and go between smaller and larger tensors of a
    /// chunk, and libtorch's allocator would leave holes among them that fit nothing (a tenth of a 720p decode).
    /// </summary>
    /// <param name="shape">[B, C, 1, H, W]</param>
    /// <param name="dtype">The type.</param>
    /// <param name="device">The device.</param>
    internal Tensor Rent(long[] shape, ScalarType dtype, Device device)
    {
        var at = _spare.FindIndex(frame => frame.dtype == dtype && frame.shape.AsSpan().SequenceEqual(shape));
        if (at < 0)
        {
            return ChannelsLast.Empty(shape, dtype, device).DetachFromDisposeScope();
        }

        var spare = _spare[at];
        _spare.RemoveAt(at);
        return spare;
    }

    /// <summary>Takes a frame back that <see cref="Rent"/> gave: all work that reads it is on the stream.</summary>
    internal void GiveBack(Tensor frame) => _spare.Add(frame);

    /// <inheritdoc/>
    public void Dispose()
    {
        DisposeAll([.. _frames.Values, .. _spare, .. _apart.Values.SelectMany(frames => frames)]);
        _frames.Clear();
        _spare.Clear();
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
