namespace NablaGen.Training.Evaluation.Generation;

/// <summary>A video that was made to be measured.</summary>
/// <param name="Frames">Its frames.</param>
/// <param name="Density">The mean density of its attention over layers, heads and steps, 0 to 1.</param>
/// <param name="SamplingSeconds">Seconds of sampling: its part of the batch's.</param>
/// <param name="DecodingSeconds">Seconds of decoding, likewise.</param>
public sealed record GeneratedClip(FrameBytes Frames, double Density, double SamplingSeconds, double DecodingSeconds)
{
    /// <summary>Solver steps that were computed: all that the step cache did not answer; null where that was not counted.</summary>
    public int? ComputedSteps { get; init; }
}
