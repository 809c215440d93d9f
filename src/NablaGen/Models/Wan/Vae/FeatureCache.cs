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
    private readonly Dictionary<Module, IReadOnlyList<Tensor>> _apart = [];
    private readonly List<Tensor> _spare = [];
    private readonly HashSet<Module> _started = [];
    private readonly Tensor? _room;
    private long _largest, _used;

    /// <summary>A cache without room: each kept frame has memory of its own.</summary>
    public FeatureCache()
    {
    }

    /// <summary>A cache with one piece of memory for the frames of layers that read each by itself. Frames that find no place there have memory of their own.</summary>
    /// <param name="room">How many numbers all these frames have (<see cref="VaeMemory.Room"/>); 0 for no room.</param>
    /// <param name="dtype">Their type.</param>
    /// <param name="device">Where they are.</param>
    internal FeatureCache(long room, ScalarType dtype, Device device)
    {
        using var scope = NewDisposeScope();
        _room = room > 0 ? empty([room], dtype, device).DetachFromDisposeScope() : null;
    }

    /// <summary>Whether this is the layer's first chunk; from then on it is not.</summary>
    internal bool IsFirstChunk(Module layer) => _started.Add(layer);

    /// <summary>The frames kept for a layer, or null. [B, C, 1 or 2, H, W]</summary>
    internal Tensor? Get(Module layer) => _frames.GetValueOrDefault(layer);

    /// <summary>Keeps a copy of the last <paramref name="count"/> frames of a layer's input. [B, C, T, H, W]</summary>
    internal void Keep(Module layer, Tensor input, long count)
    {
        using var scope = NewDisposeScope();
        var kept = Math.Min(count, input.shape[2]);
        var frames = input.narrow(2, input.shape[2] - kept, kept);
        if (_frames.TryGetValue(layer, out var before) && before.shape.AsSpan().SequenceEqual(frames.shape))
        {
            // Where they are: a new place each time would leave a hole.
            before.copy_(frames);
            return;
        }

        before?.Dispose();
        _frames[layer] = frames.clone().DetachFromDisposeScope();
    }

    /// <summary>The frames kept for a layer that reads each by itself; none at first. [B, C, 1, H, W] each</summary>
    internal IReadOnlyList<Tensor> Frames(Module layer) => _apart.GetValueOrDefault(layer, []);

    /// <summary>Memory for a frame of such a layer's input, until <see cref="Keep(Module, IReadOnlyList{Tensor}, int, int)"/>.</summary>
    /// <param name="shape">[B, C, 1, H, W]</param>
    /// <param name="dtype">The type.</param>
    /// <param name="device">The device.</param>
    internal Tensor Rent(long[] shape, ScalarType dtype, Device device)
    {
        if (Size(shape) < _largest)
        {
            return ChannelsLast.Empty(shape, dtype, device).DetachFromDisposeScope();
        }

        var at = _spare.FindIndex(frame => frame.shape.AsSpan().SequenceEqual(shape));
        if (at < 0)
        {
            return Place(shape, dtype, device);
        }

        var spare = _spare[at];
        _spare.RemoveAt(at);
        return spare;
    }

    /// <summary>Keeps the last frames of the input of such a layer, when all work that reads the others is on the stream.</summary>
    /// <remarks>
    /// What is kept stays where it is: among the smaller and larger tensors of a chunk that come and go, new places each time leave holes that fit nothing, a
    /// tenth of a 720p decode. The largest frames take turns with spare ones, which are in use at the peak; smaller ones are copied into the places of those
    /// that are no longer needed, because their spare ones would lie idle then.
    /// </remarks>
    /// <param name="layer">The layer.</param>
    /// <param name="frames">What it read: those of <see cref="Frames"/>, then rented ones. They are the cache's.</param>
    /// <param name="rented">How many of them were rented.</param>
    /// <param name="count">How many to keep, if there are as many.</param>
    internal void Keep(Module layer, IReadOnlyList<Tensor> frames, int rented, int count)
    {
        var newest = frames[^1];
        var (kept, before) = (frames.TakeLast(count).ToArray(), frames.Count - rented);
        var dropped = frames.Count - kept.Length;
        if (newest.NumberOfElements >= _largest)
        {
            _largest = newest.NumberOfElements;
            _spare.AddRange(frames.Take(dropped));
        }
        else
        {
            var places = new Queue<Tensor>(frames.Take(Math.Min(before, dropped)));
            DisposeAll(frames.Take(dropped).Skip(before));
            for (var i = Math.Max(before - dropped, 0); i < kept.Length; i++)
            {
                var place = places.TryDequeue(out var free) ? free : Place(newest.shape, newest.dtype, newest.device);
                place.copy_(kept[i]);
                kept[i].Dispose();
                kept[i] = place;
            }
        }

        _apart[layer] = kept;
    }

    // A part of the room while there is some.
    private Tensor Place(long[] shape, ScalarType dtype, Device device)
    {
        var size = Size(shape);
        if (_room is null || _used + size > _room.NumberOfElements || _room.dtype != dtype)
        {
            return ChannelsLast.Empty(shape, dtype, device).DetachFromDisposeScope();
        }

        using var scope = NewDisposeScope();
        var place = ChannelsLast.Shaped(_room.narrow(0, _used, size).view(shape[0], shape[2], shape[3], shape[4], shape[1])).DetachFromDisposeScope();
        _used += size;
        return place;
    }

    private static long Size(long[] shape) => shape.Aggregate(1L, (product, side) => product * side);

    /// <inheritdoc/>
    public void Dispose()
    {
        DisposeAll([.. _frames.Values, .. _spare, .. _apart.Values.SelectMany(frames => frames)]);
        _frames.Clear();
        _spare.Clear();
        _room?.Dispose();
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
