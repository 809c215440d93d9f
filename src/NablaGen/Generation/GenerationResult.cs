using System.Globalization;

namespace NablaGen.Generation;

/// <summary>A video that was made.</summary>
/// <param name="Path">The video's file; empty for a measurement, which writes none.</param>
/// <param name="LatentsPath">The latents' file; null where there is none.</param>
/// <param name="Recipe">What made it.</param>
/// <param name="Density">The mean density of the attention over layers, heads and steps; null for a video from latents.</param>
/// <param name="Seconds">Seconds by stage.</param>
/// <param name="PeakMemoryBytes">The process's largest resident memory.</param>
public sealed record GenerationResult(
    string Path,
    string? LatentsPath,
    Recipe Recipe,
    double? Density,
    IReadOnlyDictionary<GenerationStage, double> Seconds,
    long PeakMemoryBytes)
{
    /// <summary>The most memory in use on the device, all programs' together, seen after each step and stage; null on the CPU.</summary>
    public long? PeakDeviceMemoryBytes { get; init; }

    /// <summary>Frames of a single colour, numbered from 0; hardly ever what was asked for.</summary>
    public IReadOnlyList<int> FlatFrames { get; init; } = [];

    /// <summary>The steps that the step cache skipped, in order.</summary>
    public IReadOnlyList<SkippedStep> SkippedSteps { get; init; } = [];

    /// <summary>What was made, of what, and what it took, on one line.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Path}: {Recipe}; {(Density is { } density ? $"density {density:0.000}; " : "")}")
        + string.Join(", ", Seconds.Select(stage => string.Create(CultureInfo.InvariantCulture, $"{stage.Key.ToString().ToLowerInvariant()} {stage.Value:0.0} s")))
        + $"; {PeakMemoryBytes >> 20} MiB";
}

/// <summary>A step that the step cache skipped.</summary>
/// <param name="Step">The step, from 0.</param>
/// <param name="Error">What the cache estimates that the skip gets wrong; its scale is the cache's own.</param>
public readonly record struct SkippedStep(int Step, double Error);
