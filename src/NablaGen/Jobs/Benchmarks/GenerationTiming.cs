using NablaGen.Denoising;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>What a whole generation took.</summary>
public sealed record GenerationTiming
{
    /// <summary>The attention expression.</summary>
    public required string Attention { get; init; }

    /// <summary>GPUs that made it.</summary>
    public int Gpus { get; init; } = 1;

    /// <summary>How it was split over them; null for one.</summary>
    public string? Split { get; init; }

    /// <summary>How far its latents are from those that one GPU made before, relative to them; 0 where all bits are the same. Null for one GPU.</summary>
    public double? LatentError { get; init; }

    /// <summary>Tokens of the video.</summary>
    public required long Tokens { get; init; }

    /// <summary>The mean density over layers, heads and steps.</summary>
    public required double Density { get; init; }

    /// <summary>The step cache.</summary>
    public string StepCache { get; init; } = StepCaches.None;

    /// <summary>Solver steps that were computed: all that the step cache did not answer.</summary>
    public required int ComputedSteps { get; init; }

    /// <summary>
    /// PSNR in decibels of the latents to those of the same run without a step cache, if it came before; their largest difference is its peak.
    /// Null without such a run and for equal latents.
    /// </summary>
    public double? LatentPsnr { get; init; }

    /// <summary>Making the text encoder and encoding both prompts, in seconds.</summary>
    public required double TextSeconds { get; init; }

    /// <summary>Making the image encoder and the VAE and encoding the picture, in seconds; 0 without one.</summary>
    public double PictureSeconds { get; init; }

    /// <summary>Making the transformer, in seconds: drawing weights, where a real run reads them.</summary>
    public required double LoadSeconds { get; init; }

    /// <summary>All steps, in seconds.</summary>
    public required double SampleSeconds { get; init; }

    /// <summary>Making the VAE and decoding, the frames' way to the CPU included, in seconds; no file is written.</summary>
    public required double DecodeSeconds { get; init; }

    /// <summary>The median step, in milliseconds.</summary>
    public required double StepMilliseconds { get; init; }

    /// <summary>The shortest step, in milliseconds.</summary>
    public required double FastestStep { get; init; }

    /// <summary>The longest step, in milliseconds.</summary>
    public required double SlowestStep { get; init; }

    /// <summary>
    /// What the CPU takes to launch a step, in milliseconds: that of a video of a few hundred tokens through the same model. A step that takes
    /// the device less than this is launch-bound. Null on the CPU.
    /// </summary>
    public double? LaunchMilliseconds { get; init; }

    /// <summary>How far the CPU was ahead of the device at the end of the median step, in milliseconds. Null on the CPU.</summary>
    public double? AheadMilliseconds { get; init; }

    /// <summary>Whether the device waits for the CPU. Null on the CPU.</summary>
    public bool? IsLaunchBound { get; init; }

    /// <summary>Each step.</summary>
    public required IReadOnlyList<StepTiming> Steps { get; init; }

    /// <summary>The most memory seen, after any step or stage: on the device (all programs'), or of the process on the CPU.</summary>
    public required long PeakBytes { get; init; }

    /// <summary>Memory in use after the last step less that after the second, when everything has been allocated once.</summary>
    public long GrowthBytes => Steps[^1].MemoryBytes - Steps[Math.Min(1, Steps.Count - 1)].MemoryBytes;

    /// <summary>All stages, in seconds.</summary>
    public double TotalSeconds => TextSeconds + PictureSeconds + LoadSeconds + SampleSeconds + DecodeSeconds;
}
