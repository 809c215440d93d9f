using NablaGen.Generation;

namespace NablaGen.Training.Evaluation.Results;

/// <summary>What was measured on one video.</summary>
public sealed record EvaluationRow
{
    /// <summary>The number of the rules it was judged by: see <see cref="ClipScorer.Rules"/>.</summary>
    public required int Rules { get; init; }

    /// <summary>Whether its prompt's combinations are held out from training.</summary>
    public required bool HeldOut { get; init; }

    /// <summary>Whether everything that was asked for is right.</summary>
    public required bool Success { get; init; }

    /// <summary>A verdict for each attribute that was asked for, object by object.</summary>
    public required IReadOnlyList<AttributeVerdict> Attributes { get; init; }

    /// <summary>PSNR to the dense video of the same prompt and seed, in dB; infinite where equal, null for the dense one.</summary>
    public double? Psnr { get; init; }

    /// <summary>SSIM to the dense video; null for the dense one.</summary>
    public double? Ssim { get; init; }

    /// <summary>PSNR of the first frame to the picture that was given, in dB; null where none was.</summary>
    public double? PicturePsnr { get; init; }

    /// <summary>Mean density of the attention, 0 to 1.</summary>
    public required double Density { get; init; }

    /// <summary>Solver steps that were computed: all that the step cache did not answer. Null in rows of versions that did not count them.</summary>
    public int? ComputedSteps { get; init; }

    /// <summary>Seconds of sampling: its part of the batch's.</summary>
    public required double SamplingSeconds { get; init; }

    /// <summary>Seconds of decoding, likewise.</summary>
    public required double DecodingSeconds { get; init; }

    /// <summary>Videos that were made at once.</summary>
    public required int Batch { get; init; }

    /// <summary>Everything that makes the video what it is.</summary>
    public required Recipe Recipe { get; init; }

    /// <summary>Whether this is about the same video, judged by the same rules. NablaGen's version may differ.</summary>
    public bool Is(Recipe recipe) => Rules == ClipScorer.Rules && Recipe with { Version = recipe.Version, Model = recipe.Model } == recipe;
}
