namespace NablaGen.Jobs.Compare;

/// <summary>One attention expression's part of a comparison.</summary>
public sealed record ComparedExpression
{
    /// <summary>The expression.</summary>
    public required string Attention { get; init; }

    /// <summary>First steps kept dense.</summary>
    public required int DenseSteps { get; init; }

    /// <summary>First layers kept dense.</summary>
    public required int DenseLayers { get; init; }

    /// <summary>Its video's file name.</summary>
    public required string Video { get; init; }

    /// <summary>Its latents' file name; null where they were discarded.</summary>
    public string? Latents { get; init; }

    /// <summary>The file name of the page of its masks; null where none was asked for, and for dense attention.</summary>
    public string? Masks { get; init; }

    /// <summary>Mean density over layers, heads and steps, 0 to 1.</summary>
    public required double Density { get; init; }

    /// <summary>Seconds of sampling.</summary>
    public required double SamplingSeconds { get; init; }

    /// <summary>The first expression's sampling time over this one's.</summary>
    public required double SpeedUp { get; init; }

    /// <summary>PSNR to the first expression's video, in dB; infinite where they are equal, null for the first.</summary>
    public double? Psnr { get; init; }

    /// <summary>SSIM to the first expression's video; null for the first.</summary>
    public double? Ssim { get; init; }

    /// <summary>Flicker of the video, in luma levels (see <see cref="Video.Metrics.Flicker"/>); null below three frames.</summary>
    public double? Flicker { get; init; }

    /// <summary>Seconds by stage, under the names that a video's own <c>.json</c> has.</summary>
    public required IReadOnlyDictionary<string, double> Seconds { get; init; }

    /// <summary>Seconds of each step.</summary>
    public required IReadOnlyList<double> SecondsByStep { get; init; }

    /// <summary>PSNR of each frame; null for the first.</summary>
    public IReadOnlyList<double>? PsnrByFrame { get; init; }

    /// <summary>SSIM of each frame; null for the first.</summary>
    public IReadOnlyList<double>? SsimByFrame { get; init; }

    /// <summary>Cosine of the latents to the first expression's after each step; null for the first.</summary>
    public IReadOnlyList<double>? LatentCosineByStep { get; init; }

    /// <summary>Density of each layer and head, over all steps. [layer][head]</summary>
    public required IReadOnlyList<IReadOnlyList<double>> DensityByLayerAndHead { get; init; }

    /// <summary>Density of each step and layer, over all heads. [step][layer]</summary>
    public required IReadOnlyList<IReadOnlyList<double>> DensityByStepAndLayer { get; init; }
}
