using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using NablaGen.Generation;
using NablaGen.Memory;

namespace NablaGen.Cli.Output;

/// <summary>For programs: an object a line with <c>event</c>, as a batch's; names are in snake case, times in seconds.</summary>
internal sealed class JsonReport(TextWriter output, string command) : RunReport, IGenerationProgress
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(1);

    private readonly Stopwatch _sinceLast = new();
    private readonly Stopwatch _stageWatch = new();
    private GenerationStage _stage;
    private int _units;
    private int _ended;

    /// <summary>That of this process; null where no program reads.</summary>
    public static JsonReport? Current { get; private set; }

    public override int Run(Func<int> work, CancellationToken cancellation)
    {
        Current = this;
        Write("start", new JsonObject { ["command"] = command, ["version"] = NablaGenVersion.Text });
        try
        {
            var code = work();
            End("done", null);
            return code;
        }
        catch (Exception error)
        {
            var (code, line) = CommandRunner.Explain(error, cancellation.IsCancellationRequested);
            End(code == ExitCode.Cancelled ? "cancelled" : "failed", line);
            throw;
        }
    }

    /// <summary>The last line, once.</summary>
    /// <param name="state"><c>done</c>, <c>failed</c> or <c>cancelled</c>.</param>
    /// <param name="error">Why; null where it is done.</param>
    public void End(string state, string? error)
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
        {
            Write("end", new JsonObject { ["state"] = state, ["error"] = error });
        }
    }

    public override T Watch<T>(Func<IGenerationProgress, T> work) => ProgressReport.RunWith(this, work);

    public override void Part(string text) => Write("part", new JsonObject { ["part"] = text });

    public override void Outlook(DryRun run) => Write("dry-run", run.ToJson());

    public override void Done(JsonObject fields) => Write("done", fields);

    public void OnPlan(MemoryPlan plan) => Write("plan", Plan(plan));

    public void OnCut(string prompt, int tokens, int read) =>
        Write("cut", new JsonObject { ["prompt"] = prompt, ["tokens"] = tokens, ["read"] = read });

    public void OnNote(string note) => Write("note", new JsonObject { ["note"] = note });

    public void OnStage(GenerationStage stage, int units)
    {
        (_stage, _units) = (stage, units);
        _stageWatch.Restart();
        _sinceLast.Restart();
        Write("stage", new JsonObject { ["stage"] = Name(stage), ["of"] = units });
    }

    public void OnEstimate(TimeSpan sampling) => Write("estimate", new JsonObject { ["sampling_seconds"] = Math.Round(sampling.TotalSeconds, 3) });

    public void OnProgress(int done, double? density)
    {
        if (_sinceLast.Elapsed < Between && done < _units)
        {
            return;
        }

        _sinceLast.Restart();
        Write("progress", new JsonObject
        {
            ["stage"] = Name(_stage),
            ["done"] = done,
            ["of"] = _units,
            ["density"] = density,
            ["eta_seconds"] = Math.Round((_stageWatch.Elapsed / done * (_units - done)).TotalSeconds, 3),
        });
    }

    protected override void Show(GenerationResult result, IReadOnlyList<(string Name, string Path)> others)
    {
        var fields = Result(result);
        foreach (var (name, path) in others)
        {
            fields[name] = path;
        }

        Done(fields);
    }

    /// <summary>A memory plan.</summary>
    public static JsonObject Plan(MemoryPlan plan) => new()
    {
        ["text"] = string.Join("; ", PlanReport.Lines(plan).Select(line => line["plan: ".Length..])),
        ["peak_bytes"] = plan.Peak,
        ["peak_stage"] = Name(plan.LargestStage),
        ["budget_bytes"] = plan.Budget,
        ["layers"] = plan.Layers,
        ["streamed_layers"] = plan.StreamedLayers,
        ["vae"] = plan.Vae.Name,
    };

    /// <summary>A video that was made.</summary>
    private static JsonObject Result(GenerationResult result) => new()
    {
        ["video"] = result.Path,
        ["recipe"] = ResultFile.PathBeside(result.Path),
        ["latents"] = result.LatentsPath,
        ["seed"] = result.Recipe.Seed,
        ["attention"] = result.Recipe.Attention,
        ["density"] = result.Density,
        ["seconds"] = new JsonObject(result.Seconds.Select(stage => KeyValuePair.Create(Name(stage.Key), (JsonNode?)JsonValue.Create(Math.Round(stage.Value, 3))))),
        ["peak_memory_bytes"] = result.PeakMemoryBytes,
        ["peak_device_memory_bytes"] = result.PeakDeviceMemoryBytes,
        ["flat_frames"] = new JsonArray([.. result.FlatFrames.Select(frame => JsonValue.Create(frame))]),
    };

    private static string Name(GenerationStage stage) => JsonNamingPolicy.SnakeCaseLower.ConvertName(stage.ToString());

    private void Write(string name, JsonObject fields)
    {
        fields.Insert(0, "event", name);
        output.WriteLine(fields.ToJsonString(Recipe.Json));
        output.Flush();
    }
}
