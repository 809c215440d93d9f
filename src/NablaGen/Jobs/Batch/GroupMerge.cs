namespace NablaGen.Jobs.Batch;

/// <summary>What several groups tell of one batch, as one batch: each row is begun once, ends once and is counted once.</summary>
/// <param name="rows">The whole batch's.</param>
/// <param name="groups">How many groups there are.</param>
/// <param name="shown">Is told; before what is of one group it is told of which.</param>
internal sealed class GroupMerge(IReadOnlyList<BatchRow> rows, int groups, IBatchProgress shown)
{
    private readonly HashSet<int> _started = [];
    private readonly HashSet<int> _pending = [];
    private readonly HashSet<int> _open = [];
    private readonly HashSet<int> _atWork = [];
    private readonly HashSet<string> _said = [];

    // Rows that a group found made: by another group, which tells of it itself, or by a process of somebody else's.
    private readonly Dictionary<int, GroupEvent> _found = [];
    private GroupEvent? _first;

    /// <summary>How the rows stand.</summary>
    public BatchSummary Summary { get; private set; } = new(0, 0, 0, 0);

    /// <summary>Whether all groups know what there is to do.</summary>
    public bool HasStarted => _started.Count == groups;

    /// <summary>Whether a row has failed.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>Takes what a group tells.</summary>
    /// <param name="group">Which, from 1.</param>
    /// <param name="told">What.</param>
    public void Take(int group, GroupEvent told)
    {
        if (told.Of == GroupEvent.Call.Start)
        {
            Start(group, told);
            return;
        }

        switch (told.Of)
        {
            case GroupEvent.Call.RowStart:
                _atWork.Add(group);
                Of(group).OnRowStart(Row(told));
                break;
            case GroupEvent.Call.RowDone or GroupEvent.Call.RowFailed:
                _atWork.Remove(group);
                End(group, told);
                break;
            case GroupEvent.Call.RowSkipped when _open.Contains(told.Row):
                _found[told.Row] = told;
                break;
            case GroupEvent.Call.RowSkipped when group == 1 && !_pending.Contains(told.Row):
                Of(group).OnRowSkipped(Row(told), Entry(told), Summary);
                break;
            case GroupEvent.Call.RowError:
                Of(group).OnRowError(Row(told), new ToldError(told.Text!));
                break;
            // Groups wait for each other's last rows.
            case GroupEvent.Call.Wait when _atWork.Count == 0:
                Of(group).OnWait(told.Number);
                break;
            case GroupEvent.Call.Note when _said.Add(told.Text!):
                Of(group).OnNote(told.Text!);
                break;
            case GroupEvent.Call.Cut when _said.Add(told.Text!):
                Of(group).OnCut(told.Text!, told.Number, told.Read);
                break;
            case GroupEvent.Call.Plan when group == 1:
                Of(group).OnPlan(told.Plan!);
                break;
            case GroupEvent.Call.Stage:
                Of(group).OnStage(told.Stage, told.Number);
                break;
            case GroupEvent.Call.Estimate:
                Of(group).OnEstimate(told.Sampling);
                break;
            case GroupEvent.Call.Progress:
                Of(group).OnProgress(told.Number, told.Density);
                break;
        }
    }

    /// <summary>All groups are done: what none of them has made, others have.</summary>
    public void Finish()
    {
        foreach (var told in _found.Values.Where(told => _open.Remove(told.Row)))
        {
            var entry = Entry(told);
            Summary = entry.State == RowState.Done ? Summary with { Skipped = Summary.Skipped + 1 } : Summary with { Failed = Summary.Failed + 1 };
            shown.OnRowSkipped(Row(told), entry, Summary);
        }
    }

    private void Start(int group, GroupEvent told)
    {
        _started.Add(group);
        _first = group == 1 ? told : _first;
        if (HasStarted)
        {
            Summary = _first!.Summary!;
            _pending.UnionWith(_first.Pending!);
            _open.UnionWith(_pending);
            shown.OnStart([.. _first.Pending!.Select(number => rows[number - 1])], Summary);
        }
    }

    private void End(int group, GroupEvent told)
    {
        var entry = Entry(told);
        var isDone = told.Of == GroupEvent.Call.RowDone;
        if (_open.Remove(told.Row))
        {
            Summary = isDone ? Summary with { Made = Summary.Made + 1 } : Summary with { Failed = Summary.Failed + 1 };
        }

        if (isDone)
        {
            Of(group).OnRowDone(Row(told), entry, Summary);
        }
        else
        {
            HasFailed = true;
            Of(group).OnRowFailed(Row(told), entry, Summary);
        }
    }

    private IBatchProgress Of(int group)
    {
        shown.OnGroup(group, groups);
        return shown;
    }

    private BatchRow Row(GroupEvent told) => rows[told.Row - 1] with { Name = told.Name! };

    private static ManifestEntry Entry(GroupEvent told) => BatchManifest.EntryOf(told.Entry!);

    // As the other process would have shown it.
    private sealed class ToldError(string text) : Exception(text.Split('\n')[0])
    {
        public override string ToString() => text;
    }
}
