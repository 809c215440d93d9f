using NablaGen.Attention;

namespace NablaGen.Denoising;

/// <summary>How noise becomes latents: schedule, guidance and attention, without prompts and sizes.</summary>
public sealed record SamplingSettings
{
    /// <summary>The self-attention.</summary>
    public required AttentionExpression Attention { get; init; }

    /// <summary>
    /// The mean density to hold over all layers and heads of each sparse step, by adapting NABLA's threshold between steps; the
    /// attention's own threshold is then the first step's. Null to leave it alone.
    /// </summary>
    public double? TargetDensity { get; init; }

    /// <summary>With a target density, known thresholds to use instead of adapting them. [steps]</summary>
    public IReadOnlyList<double>? Thresholds { get; init; }

    /// <summary>First steps to keep dense.</summary>
    public int DenseSteps { get; init; }

    /// <summary>First layers to keep dense.</summary>
    public int DenseLayers { get; init; }

    /// <summary>Steps that a mask serves.</summary>
    public int MaskEvery { get; init; } = 1;

    /// <summary>The dense step, from 1, whose exact masses choose the masks of all later ones; null for none.</summary>
    public int? MaskFromStep { get; init; }

    /// <summary>Solver steps.</summary>
    public required int Steps { get; init; }

    /// <summary>Timesteps before the shift, falling; null for even ones. [steps]</summary>
    public IReadOnlyList<double>? Timesteps { get; init; }

    /// <summary>The solver's name: see <see cref="Solvers.Names"/>.</summary>
    public required string Solver { get; init; }

    /// <summary>The schedule's shift.</summary>
    public required double Shift { get; init; }

    /// <summary>Scale of classifier-free guidance; 1 skips the pass without the prompt.</summary>
    public required double Guidance { get; init; }

    /// <summary>The same of the high-noise expert, where a model has two; null for <see cref="Guidance"/>.</summary>
    public double? GuidanceHigh { get; init; }

    /// <summary>How steps are answered from memory: see <see cref="StepCaches.Names"/>.</summary>
    public string StepCache { get; init; } = StepCaches.None;
}
