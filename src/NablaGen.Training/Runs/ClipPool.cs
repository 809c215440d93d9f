using NablaGen.Tensors;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Training.Runs;

/// <summary>
/// Clips ready for training in the device's memory, in the form a model takes them. Every few steps the oldest group makes room for a
/// fresh one, so that training waits neither for the renderer nor for the encoder and still sees ever new clips.
/// </summary>
/// <remarks>What the pool holds depends on the step alone, so that a resumed run sees the clips that it would have seen.</remarks>
public sealed class ClipPool : IDisposable
{
    private readonly IClipSource _source;
    private readonly ClipSize _size;
    private readonly Device _device;
    private readonly Func<ClipBatch, long, Tensor[]> _encode;
    private readonly PoolSize _pool;
    private readonly long _firstClip;
    private Tensor[] _slots = [];
    private long _firstGroup = -1;

    /// <summary>An empty pool; <see cref="MoveTo"/> fills it.</summary>
    /// <param name="source">The clips.</param>
    /// <param name="size">Their size.</param>
    /// <param name="device">Where they are rendered, encoded and kept.</param>
    /// <param name="pool">How many there are and how they are replaced.</param>
    /// <param name="encode">A group of clips and the first one's number → tensors to keep, each with a row a clip, on the device.</param>
    /// <param name="firstClip">The number of the first clip, so that pools beside one another show different ones.</param>
    public ClipPool(IClipSource source, ClipSize size, Device device, PoolSize pool, Func<ClipBatch, long, Tensor[]> encode, long firstClip = 0) =>
        (_source, _size, _device, _pool, _encode, _firstClip) = (source, size, device, pool, encode, firstClip);

    /// <summary>Renders and encodes what a step needs: everything the first time, later only what is new.</summary>
    /// <param name="step">The step, from 0.</param>
    /// <param name="onGroup">Is told of each group made while filling: how many of how many.</param>
    /// <param name="cancellation">Stops between two groups.</param>
    public void MoveTo(int step, Action<int, int>? onGroup = null, CancellationToken cancellation = default)
    {
        using var noGrad = no_grad();
        var first = step / _pool.Every;
        for (var group = Math.Max(first, _firstGroup < 0 ? first : _firstGroup + _pool.Groups); group < first + _pool.Groups; group++)
        {
            cancellation.ThrowIfCancellationRequested();
            Make(group);
            if (_firstGroup < 0)
            {
                onGroup?.Invoke((int)(group - first) + 1, _pool.Groups);
            }
        }

        _firstGroup = first;
    }

    /// <summary>The same for the pools of several sizes, whose groups are counted together.</summary>
    /// <param name="pools">The pools, all with as many groups.</param>
    /// <param name="step">The step, from 0.</param>
    /// <param name="onGroup">Is told of each group made while filling: how many of how many.</param>
    /// <param name="cancellation">Stops between two groups.</param>
    public static void MoveAllTo(IReadOnlyList<ClipPool> pools, int step, Action<int, int>? onGroup = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(pools);
        for (var i = 0; i < pools.Count; i++)
        {
            var before = i;
            pools[i].MoveTo(step, onGroup is null ? null : (done, all) => onGroup(before * all + done, pools.Count * all), cancellation);
        }
    }

    /// <summary>Clips by chance, drawn by the device's own generator: rows of each tensor that the encoder gave.</summary>
    public Tensor[] Draw(int count)
    {
        using var scope = NewDisposeScope();
        var rows = randint(_pool.Clips, [count], ScalarType.Int64, _device);
        return [.. _slots.Select(slot => slot.index_select(0, rows).MoveToOuterDisposeScope())];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var slot in _slots)
        {
            slot.Dispose();
        }
    }

    private void Make(long group)
    {
        using var scope = NewDisposeScope();
        var first = _firstClip + group * _pool.Group;
        using var clips = _source.Next(first, _pool.Group, _size, _device);
        var encoded = _encode(clips, first);
        if (_slots.Length == 0)
        {
            _slots = [.. encoded.Select(tensor => empty([_pool.Clips, .. tensor.shape[1..]], tensor.dtype, _device).DetachFromDisposeScope())];
        }

        for (var i = 0; i < encoded.Length; i++)
        {
            _slots[i].narrow(0, group % _pool.Groups * _pool.Group, _pool.Group).copy_(encoded[i]);
        }

        NativeHeap.Collect();
    }
}
