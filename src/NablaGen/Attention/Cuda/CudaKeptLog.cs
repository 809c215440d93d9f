using NablaGen.Cuda;
using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Attention.Cuda;

/// <summary>
/// Collects on the device what the attentions of a run kept and took, and brings it to the host in one copy when the first value is
/// read, or when it is full.
/// </summary>
internal sealed class CudaKeptLog(CudaDevice device) : IDisposable
{
    // Both passes of a step of the largest model twice over.
    private const int Capacity = 160;

    private readonly MaskCounts _counts = new(device);
    private readonly List<(CudaEvent Start, CudaEvent Mask, CudaEvent Attention)> _events = [];
    private Batch _batch = new([]);
    private CudaBuffer? _kept;
    private int _rowHeads;

    /// <summary>An attention begins.</summary>
    public void Start() => Events.Start.Record();

    /// <summary>Its mask is made.</summary>
    public void MaskDone() => Events.Mask.Record();

    /// <summary>It is done.</summary>
    public void AttentionDone() => Events.Attention.Record();

    /// <summary>Puts the statistics of the attention just done into the log.</summary>
    /// <param name="mask">Its mask; one for all heads or one for each.</param>
    /// <param name="heads">Its heads.</param>
    public Lazy<KeptStatistics> Take(DeviceBlockMask mask, int heads)
    {
        if (_kept is null || _rowHeads < mask.Heads)
        {
            Read();
            _kept?.Dispose();
            _rowHeads = mask.Heads;
            _kept = new CudaBuffer(device, 8L * Capacity * _rowHeads);
        }

        var batch = _batch;
        var row = batch.Masks.Count;
        _counts.Run(mask, _kept.Pointer + (nint)(8L * row * _rowHeads));
        batch.Masks.Add((mask.Heads, heads, (double)mask.Blocks * mask.Blocks));
        if (batch.Masks.Count == Capacity)
        {
            Read();
        }

        return new Lazy<KeptStatistics>(() =>
        {
            if (batch.Values is null)
            {
                Read();
            }

            return batch.Values![row];
        });
    }

    /// <summary>Reads what is left, so that values stay readable, and frees the memory.</summary>
    public void Dispose()
    {
        try
        {
            Read();
        }
        catch (CudaException)
        {
            // The device has failed, and whoever waited for its work says so.
        }

        _kept?.Dispose();
        _kept = null;
        foreach (var (start, mask, attention) in _events)
        {
            start.Dispose();
            mask.Dispose();
            attention.Dispose();
        }

        _events.Clear();
    }

    // Those of the row to be taken next; an attention nobody asks about leaves them to its successor.
    private (CudaEvent Start, CudaEvent Mask, CudaEvent Attention) Events
    {
        get
        {
            var row = _batch.Masks.Count;
            if (row == _events.Count)
            {
                _events.Add((new CudaEvent(device), new CudaEvent(device), new CudaEvent(device)));
            }

            return _events[row];
        }
    }

    private void Read()
    {
        var rows = _batch.Masks.Count;
        if (rows == 0)
        {
            return;
        }

        var kept = _kept!.ToArray<long>(rows * _rowHeads);
        _batch.Values = [.. _batch.Masks.Select((mask, row) => new KeptStatistics(
            [.. Enumerable.Range(0, mask.Heads).Select(head => kept[row * _rowHeads + (mask.Rows == 1 ? 0 : head)] / mask.Pairs)],
            _events[row].Mask.MillisecondsSince(_events[row].Start) / 1000,
            _events[row].Attention.MillisecondsSince(_events[row].Mask) / 1000))];
        _batch = new Batch([]);
    }

    private sealed class Batch(List<(int Rows, int Heads, double Pairs)> masks)
    {
        public List<(int Rows, int Heads, double Pairs)> Masks => masks;

        public KeptStatistics[]? Values { get; set; }
    }
}
