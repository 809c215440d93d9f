using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Models.Streaming;

/// <summary>
/// Layers of which only some stay on the device. The others are in the host's memory and are streamed through a few slots, each fetched while the
/// layers before it compute. After the last layer the first is fetched again, for the next pass.
/// </summary>
/// <typeparam name="TLayer">The layers' type; all are of one size.</typeparam>
public sealed class LayerStreamer<TLayer> : ILayerSource<TLayer>
    where TLayer : nn.Module
{
    private readonly TLayer?[] _resident;
    private readonly ParameterPool?[] _host;
    private readonly List<Slot> _slots = [];
    private ILayerUploads? _uploads;
    private int _current = -1;

    internal LayerStreamer(
        int count, ModuleOptions options, LayerPlacement placement, Func<ModuleOptions, TLayer> make, Action<int, TLayer> fill,
        Func<int, IReadOnlyList<ParameterPool>, ILayerUploads> uploads, Func<ParameterPool, ParameterPool>? keep = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(placement.Slots, 2);
        ArgumentOutOfRangeException.ThrowIfNegative(placement.Resident);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(placement.Resident, count);
        (_resident, _host) = (new TLayer?[count], new ParameterPool?[count]);
        try
        {
            using var shape = make(options with { Device = META });
            for (var number = 0; number < count; number++)
            {
                if (LayerPlacement.IsResident(number, placement.Resident, count))
                {
                    fill(number, _resident[number] = make(options));
                }
                else
                {
                    var host = _host[number] = ParameterPool.For(shape, CPU);
                    using (var layer = make(options with { Device = CPU, Pool = host }))
                    {
                        fill(number, layer);
                    }

                    if (keep is not null)
                    {
                        _host[number] = keep(host);
                        host.Dispose();
                    }
                }
            }

            for (var slot = 0; slot < placement.Slots; slot++)
            {
                _slots.Add(new Slot(options, make, shape));
            }

            _uploads = uploads(placement.Slots, [.. _host.OfType<ParameterPool>()]);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public int Count => _resident.Length;

    /// <inheritdoc/>
    public TLayer Get(int layer)
    {
        if (_current >= 0)
        {
            _uploads!.Release(_current);
            _current = -1;
        }

        if (_resident[layer] is null)
        {
            _current = Fetch(layer, []);
        }

        Prefetch(layer);
        if (_current < 0)
        {
            return _resident[layer]!;
        }

        _uploads!.Await(_current);
        return _slots[_current].Layer;
    }

    /// <summary>Waits for copies under way and frees all memory.</summary>
    public void Dispose()
    {
        _uploads?.Dispose();
        _uploads = null;
        _slots.ForEach(slot => slot.Dispose());
        _slots.Clear();
        for (var layer = 0; layer < Count; layer++)
        {
            _resident[layer]?.Dispose();
            _host[layer]?.Dispose();
            (_resident[layer], _host[layer]) = (null, null);
        }
    }

    // Slots that the current layer does not use are filled with the next layers.
    private void Prefetch(int layer)
    {
        var free = _slots.Count - (_current >= 0 ? 1 : 0);
        var next = Enumerable.Range(1, Count - 1)
            .Select(step => (layer + step) % Count)
            .Where(other => _resident[other] is null)
            .Take(free)
            .ToArray();
        foreach (var other in next)
        {
            Fetch(other, next);
        }
    }

    // The slot that holds a layer's weights, or will when its copy is done.
    private int Fetch(int layer, int[] wanted)
    {
        var slot = _slots.FindIndex(slot => slot.Number == layer);
        if (slot < 0)
        {
            slot = Enumerable.Range(0, _slots.Count).First(i => i != _current && !wanted.Contains(_slots[i].Number));
            _uploads!.Copy(slot, _host[layer]!, _slots[slot].Pool);
            _slots[slot].Number = layer;
        }

        return slot;
    }

    private sealed class Slot : IDisposable
    {
        public Slot(ModuleOptions options, Func<ModuleOptions, TLayer> make, TLayer shape)
        {
            Pool = ParameterPool.For(shape, options.Device);
            try
            {
                Layer = make(options with { Pool = Pool });
            }
            catch
            {
                Pool.Dispose();
                throw;
            }
        }

        public ParameterPool Pool { get; }

        public TLayer Layer { get; }

        public int Number { get; set; } = -1;

        public void Dispose()
        {
            Layer.Dispose();
            Pool.Dispose();
        }
    }
}
