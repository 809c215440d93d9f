using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit.Streaming;

/// <summary>
/// Blocks of which only some stay on the device. The others lie in the host's memory and come through a few slots, each fetched while the
/// blocks before it compute; after the last comes the first again, for the next pass.
/// </summary>
public sealed class LayerStreamer : ILayerSource
{
    private readonly WanLayer?[] _resident;
    private readonly ParameterPool?[] _host;
    private readonly List<Slot> _slots = [];
    private ILayerUploads? _uploads;
    private int _current = -1;

    private LayerStreamer(int count) => (_resident, _host) = (new WanLayer?[count], new ParameterPool?[count]);

    internal delegate ILayerUploads UploadsFactory(int slots, IReadOnlyList<ParameterPool> hosts);

    /// <inheritdoc/>
    public int Count => _resident.Length;

    /// <summary>Makes a transformer's blocks.</summary>
    /// <param name="config">The transformer's sizes.</param>
    /// <param name="options">The device they compute on, and their type.</param>
    /// <param name="resident">How many stay on the device: fewer than there are. They are spread evenly, so that there is always time to fetch the next of the others.</param>
    /// <param name="slots">Places on the device for the others; 2 or more, so that one is filled while another is used.</param>
    /// <param name="fill">Is given each block by its number to put weights into; those of the blocks that come and go are in the host's memory.</param>
    public static LayerStreamer Create(
        DitConfig config, ModuleOptions options, int resident, int slots, Action<int, WanLayer> fill) => options.Device.type == DeviceType.CUDA
        ? Create(config, options, resident, slots, fill, (count, hosts) => new CudaLayerUploads(options.Device, count, hosts))
        : throw new ArgumentException($"nothing is streamed to {options.Device}", nameof(options));

    internal static LayerStreamer Create(
        DitConfig config, ModuleOptions options, int resident, int slots, Action<int, WanLayer> fill, UploadsFactory uploads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(slots, 2);
        ArgumentOutOfRangeException.ThrowIfNegative(resident);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(resident, config.NumLayers);
        var streamer = new LayerStreamer(config.NumLayers);
        try
        {
            using var shape = new WanLayer(config, options with { Device = META });
            for (var layer = 0; layer < config.NumLayers; layer++)
            {
                if (IsResident(layer, resident, config.NumLayers))
                {
                    fill(layer, streamer._resident[layer] = new WanLayer(config, options));
                }
                else
                {
                    var host = streamer._host[layer] = ParameterPool.For(shape, CPU);
                    using var block = new WanLayer(config, options with { Device = CPU, Pool = host });
                    fill(layer, block);
                }
            }

            for (var slot = 0; slot < slots; slot++)
            {
                streamer._slots.Add(new Slot(config, options, shape));
            }

            streamer._uploads = uploads(slots, [.. streamer._host.OfType<ParameterPool>()]);
            return streamer;
        }
        catch
        {
            streamer.Dispose();
            throw;
        }
    }

    /// <summary>Whether a layer's block stays on the device.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="resident">How many stay.</param>
    /// <param name="count">How many there are.</param>
    public static bool IsResident(int layer, int resident, int count) =>
        (long)(layer + 1) * resident / count > (long)layer * resident / count;

    /// <inheritdoc/>
    public WanLayer Get(int layer)
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
        return _slots[_current].Block;
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

    // Whatever slots the current block leaves free get the blocks that come next.
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
        var slot = _slots.FindIndex(slot => slot.Layer == layer);
        if (slot < 0)
        {
            slot = Enumerable.Range(0, _slots.Count).First(i => i != _current && !wanted.Contains(_slots[i].Layer));
            _uploads!.Copy(slot, _host[layer]!, _slots[slot].Pool);
            _slots[slot].Layer = layer;
        }

        return slot;
    }

    private sealed class Slot : IDisposable
    {
        public Slot(DitConfig config, ModuleOptions options, WanLayer shape)
        {
            Pool = ParameterPool.For(shape, options.Device);
            Block = new WanLayer(config, options with { Pool = Pool });
        }

        public ParameterPool Pool { get; }

        public WanLayer Block { get; }

        public int Layer { get; set; } = -1;

        public void Dispose()
        {
            Block.Dispose();
            Pool.Dispose();
        }
    }
}
