using NablaGen.Generation;
using NablaGen.Generation.Fields;

namespace NablaGen.Cli.Output;

/// <summary>What was made and what it took.</summary>
internal static class Summary
{
    public static void Write(GenerationResult result)
    {
        LongJob.Current?.Done(result);
        var recipe = result.Recipe;
        var frames = recipe.Frames == 1 ? "1 frame" : $"{recipe.Frames} frames at {recipe.Fps} a second";
        Line("video", $"{result.Path} ({recipe.Width}x{recipe.Height}, {frames}, {Size(new FileInfo(result.Path).Length)})");
        if (result.LatentsPath is not null)
        {
            Line("latents", result.LatentsPath);
        }

        Line("recipe", ResultFile.PathBeside(result.Path));
        var stages = result.Seconds.Select(stage => $"{ProgressReport.Name(stage.Key)} {ProgressReport.Time(TimeSpan.FromSeconds(stage.Value))}");
        Wrapped.Write("time      ", $"{ProgressReport.Time(TimeSpan.FromSeconds(result.Seconds.Values.Sum()))}: {string.Join(", ", stages)}");
        if (result.Density is { } density)
        {
            var held = recipe is { TargetDensity: { } target, Thresholds: { } used }
                ? $" (target {target}, thresholds {used.Min():0.000} to {used.Max():0.000})"
                : "";
            Wrapped.Write("attention ", $"{recipe.Attention}, mean density {density:0.000}{held}");
        }

        if (recipe.Get(RequestFields.StepCache) is { } cache)
        {
            var skipped = result.SkippedSteps;
            Wrapped.Write("cache     ", skipped.Count == 0 ? $"{cache}, no step skipped" : $"{cache}, {recipe.Steps - skipped.Count} of {recipe.Steps} steps computed, "
                + $"skipped {Ranges([.. skipped.Select(skip => skip.Step + 1)])} (estimated error up to {skipped.Max(skip => skip.Error):0.000})");
        }

        var device = result.PeakDeviceMemoryBytes is { } bytes ? $", {Size(bytes)} on the GPU" : "";
        Line("memory", $"{Size(result.PeakMemoryBytes)} at peak{device}");
        Line("seed", $"{recipe.Seed}");
        if (result.FlatFrames is { Count: > 0 } flat)
        {
            Console.Error.WriteLine($"nablagen: warning: of a single colour: frame{(flat.Count == 1 ? "" : "s")} {string.Join(", ", flat)}"
                + (recipe.Precision is null && recipe.AttentionPrecision is null ? "" : "; in 16 bits it may not be: try --precision bf16 --attention-precision bf16"));
        }
    }

    /// <summary>A line of the summary.</summary>
    public static void Line(string name, string text) => Console.WriteLine($"{name,-10}{text}");

    // 3, 4, 5, 7 → 3–5, 7
    private static string Ranges(IReadOnlyList<int> numbers)
    {
        var ranges = new List<(int First, int Last)>();
        foreach (var number in numbers)
        {
            if (ranges.Count > 0 && ranges[^1].Last == number - 1)
            {
                ranges[^1] = (ranges[^1].First, number);
            }
            else
            {
                ranges.Add((number, number));
            }
        }

        return string.Join(", ", ranges.Select(range => range.First == range.Last ? $"{range.First}" : $"{range.First}-{range.Last}"));
    }

    private static string Size(long bytes) => bytes switch
    {
        < 1 << 20 => $"{bytes / 1024.0:0} KiB",
        < 1 << 30 => $"{bytes / 1048576.0:0.0} MiB",
        _ => $"{bytes / 1073741824.0:0.00} GiB",
    };
}
