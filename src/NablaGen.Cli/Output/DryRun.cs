using System.Text.Json.Nodes;
using NablaGen.Generation;
using NablaGen.Memory;
using NablaGen.Models;

namespace NablaGen.Cli.Output;

/// <summary>What <c>--dry-run</c> says: plan, memory, time and files.</summary>
/// <param name="What">What would be made, on one line.</param>
/// <param name="Outlook">What that takes.</param>
/// <param name="Files">What would be written: a name, a path, and about how many bytes, where that is known.</param>
internal sealed record DryRun(string What, GenerationOutlook Outlook, IReadOnlyList<(string Name, string Path, long? Bytes)> Files)
{
    /// <summary>A request on one line.</summary>
    public static string Describe(GenerationRequest request, VideoModel model, TextToVideo pipeline) =>
        $"{(request.Frames == 1 ? "1 frame" : $"{request.Frames} frames")} of {request.Width}x{request.Height}, {request.Steps} {request.Solver} steps, guidance {request.Guidance}, "
        + $"attention {request.Attention}{(request.TargetDensity is { } target ? $" at density {target}" : "")}, seed {request.Seed}, by {model.Name} on {pipeline.Device}";

    /// <summary>Prints it.</summary>
    public void Write()
    {
        Wrapped.Write("plan      ", What);
        foreach (var line in PlanReport.Lines(Outlook.Memory).Take(1))
        {
            Wrapped.Write("          ", line["plan: ".Length..]);
        }

        var plan = Outlook.Memory;
        Wrapped.Write("memory    ", $"{ByteSize.Text(plan.Peak)} expected at most, {ProgressReport.Name(plan.LargestStage)}, of {ByteSize.Text(plan.Budget)}");
        Wrapped.Write("time      ", Outlook.Sampling is { } sampling
            ? $"sampling {(Outlook.IsMost ? "at most about" : "about")} {ProgressReport.LongTime(sampling)}, a rough guess; decoding comes on top"
            : "the first frames show it");
        foreach (var (name, path, bytes) in Files)
        {
            var notes = new[] { bytes is { } size ? $"about {OutputSpace.Text(size)}" : null, File.Exists(path) ? "is there and would be replaced" : null }.OfType<string>().ToArray();
            Wrapped.Write($"{name,-10}", $"{path}{(notes.Length == 0 ? "" : $" ({string.Join(", ", notes)})")}");
        }

        Console.WriteLine("nothing was written");
    }

    /// <summary>The same for a program.</summary>
    public JsonObject ToJson() => new()
    {
        ["what"] = What,
        ["plan"] = JsonReport.Plan(Outlook.Memory),
        ["sampling_seconds"] = Outlook.Sampling is { } time ? Math.Round(time.TotalSeconds, 3) : null,
        ["sampling_is_most"] = Outlook.Sampling is null ? null : Outlook.IsMost,
        ["files"] = new JsonArray([.. Files.Select(file => new JsonObject
        {
            ["name"] = file.Name, ["path"] = file.Path, ["bytes"] = file.Bytes, ["exists"] = File.Exists(file.Path),
        })]),
    };
}
