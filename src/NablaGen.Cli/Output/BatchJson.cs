using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using NablaGen.Generation;
using NablaGen.Jobs.Batch;

namespace NablaGen.Cli.Output;

/// <summary>For programs: an object a line with <c>event</c>; names are in snake case, times in seconds.</summary>
internal sealed class BatchJson(TextWriter output, Shard shard) : IBatchProgress
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(1);

    private readonly BatchEta _eta = new();
    private readonly Lanes<Lane> _lanes = new();

    public void OnStart(IReadOnlyList<BatchRow> pending, BatchSummary soFar)
    {
        _eta.Start(pending);
        Write("start", new JsonObject
        {
            ["rows"] = soFar.Rows,
            ["pending"] = pending.Count,
            ["skipped"] = soFar.Skipped,
            ["failed"] = soFar.Failed,
            ["shard"] = shard.ToString(),
            ["shard_source"] = shard.Source,
        });
    }

    public void OnGroup(int group, int groups)
    {
        _eta.Group(group);
        _lanes.Select(group);
    }

    public void OnRowStart(BatchRow row)
    {
        _eta.RowStart(row);
        _lanes.Now.Row = row.Name;
        Write("row-start", new JsonObject
        {
            ["row"] = row.Number,
            ["name"] = row.Name,
            ["where"] = row.Where,
            ["prompt"] = row.Request.Prompt,
            ["seed"] = row.Request.Seed,
        });
    }

    public void OnRowDone(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        _eta.RowEnd();
        WriteRow("row-done", entry, soFar);
    }

    public void OnRowFailed(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        _eta.RowEnd();
        WriteRow("row-failed", entry, soFar);
    }

    public void OnRowSkipped(BatchRow row, ManifestEntry entry, BatchSummary soFar)
    {
        _eta.RowGone(row);
        WriteRow("row-skipped", entry, soFar);
    }

    public void OnWait(int rows) => Write("wait", new JsonObject { ["rows"] = rows });

    public void OnCut(string prompt, int tokens, int read) =>
        Write("cut", new JsonObject { ["prompt"] = prompt, ["tokens"] = tokens, ["read"] = read });

    public void OnNote(string note) => Write("note", new JsonObject { ["name"] = _lanes.Now.Row, ["note"] = note });

    public void OnStage(GenerationStage stage, int units)
    {
        (_lanes.Now.Stage, _lanes.Now.Units) = (stage, units);
        _eta.Stage(stage, units);
        _lanes.Now.Watch.Restart();
    }

    public void OnProgress(int done, double? density)
    {
        _eta.Progress(done);
        var lane = _lanes.Now;
        if (lane.Watch.Elapsed > Between)
        {
            lane.Watch.Restart();
            Write("progress", new JsonObject
            {
                ["name"] = lane.Row,
                ["stage"] = JsonNamingPolicy.SnakeCaseLower.ConvertName(lane.Stage.ToString()),
                ["done"] = done,
                ["of"] = lane.Units,
                ["density"] = density,
                ["eta_seconds"] = _eta.Left?.TotalSeconds,
            });
        }
    }

    /// <summary>The last line.</summary>
    /// <param name="summary">How the rows stand.</param>
    /// <param name="state"><c>done</c>, <c>failed</c> or <c>cancelled</c>.</param>
    public void End(BatchSummary summary, string state) => Write("end", new JsonObject
    {
        ["state"] = state,
        ["rows"] = summary.Rows,
        ["made"] = summary.Made,
        ["skipped"] = summary.Skipped,
        ["failed"] = summary.Failed,
        ["left"] = summary.Left,
    });

    private void WriteRow(string name, ManifestEntry entry, BatchSummary soFar) => Write(name, new JsonObject
    {
        ["row"] = entry.Row,
        ["name"] = entry.Name,
        ["state"] = entry.State == RowState.Done ? "done" : "failed",
        ["video"] = entry.Video,
        ["seconds"] = entry.Seconds,
        ["sha256"] = entry.Sha256,
        ["error"] = entry.Error,
        ["made"] = soFar.Made,
        ["skipped"] = soFar.Skipped,
        ["failed"] = soFar.Failed,
        ["eta_seconds"] = _eta.Left?.TotalSeconds,
    });

    private void Write(string name, JsonObject fields)
    {
        fields.Insert(0, "event", name);
        output.WriteLine(fields.ToJsonString(Recipe.Json));
        output.Flush();
    }

    private sealed class Lane
    {
        public Stopwatch Watch { get; } = new();

        public GenerationStage Stage { get; set; }

        public int Units { get; set; }

        public string? Row { get; set; }
    }
}
