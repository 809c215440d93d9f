using System.Diagnostics;
using NablaGen.Jobs.Batch;

namespace NablaGen.Cli.Output;

/// <summary>How far a batch is and how long the rest takes; rows count by their work, for they may differ in size and steps.</summary>
internal sealed class BatchEta
{
    // A row's decoding, as a part of its whole; with few steps it is more.
    private const double DecodePart = 0.1;

    private readonly Stopwatch _watch = new();
    private readonly HashSet<BatchRow> _pending = [];
    private double _left;
    private double _done;
    private readonly Lanes<Lane> _lanes = new();

    /// <summary>Rows to make, by this process or another.</summary>
    public int Rows { get; private set; }

    /// <summary>The row in work, counted from 1.</summary>
    public int Current { get; private set; }

    /// <summary>The share of the work that is done.</summary>
    public double Fraction => _left + _done == 0 ? 1 : (_done + InRows) / (_left + _done);

    /// <summary>The time that is left; null where nothing is known yet.</summary>
    public TimeSpan? Left => _done + InRows > 0 ? _watch.Elapsed / (_done + InRows) * (_left - InRows) : null;

    private double InRows => _lanes.All.Sum(lane => lane.InRow);

    /// <summary>What comes from now on is of another group of GPUs.</summary>
    public void Group(int group) => _lanes.Select(group);

    public void Start(IReadOnlyList<BatchRow> pending)
    {
        Rows = pending.Count;
        _pending.UnionWith(pending);
        _left = pending.Sum(row => row.Work);
    }

    public void RowStart(BatchRow row)
    {
        Current++;
        _lanes.Now.Row = row.Work;
    }

    public void Stage(GenerationStage stage, int units)
    {
        (_lanes.Now.Stage, _lanes.Now.Units) = (stage, units);
        if (stage is GenerationStage.Sample or GenerationStage.Decode)
        {
            // From here, so that reading the model does not count as the first row's work.
            _watch.Start();
        }
    }

    public void Progress(int done)
    {
        var lane = _lanes.Now;
        lane.InRow = lane.Stage switch
        {
            GenerationStage.Sample => lane.Row * (1 - DecodePart) * done / lane.Units,
            GenerationStage.Decode => lane.Row * (1 - DecodePart + (DecodePart * done / lane.Units)),
            _ => 0,
        };
    }

    public void RowEnd()
    {
        _left -= _lanes.Now.Row;
        _done += _lanes.Now.Row;
        _lanes.Now.InRow = 0;
    }

    /// <summary>A row is left out; one that was to be made is no more.</summary>
    public void RowGone(BatchRow row)
    {
        if (_pending.Remove(row))
        {
            Rows--;
            _left -= row.Work;
        }
    }

    private sealed class Lane
    {
        public double InRow { get; set; }

        public double Row { get; set; }

        public GenerationStage Stage { get; set; }

        public int Units { get; set; }
    }
}
