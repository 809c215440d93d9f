using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Models;

namespace NablaGen.Generation;

/// <summary>One video to make.</summary>
public sealed record GenerationRequest
{
    private const int MostPixels = 16384;
    private const int MostFrames = 4097;

    /// <summary>What to show.</summary>
    public required string Prompt { get; init; }

    /// <summary>What not to show; unused at guidance 1.</summary>
    public required string NegativePrompt { get; init; }

    /// <summary>The self-attention.</summary>
    public required AttentionExpression Attention { get; init; }

    /// <summary>
    /// The mean density to hold over all layers and heads of each sparse step, by adapting NABLA's threshold between steps; the
    /// attention's own threshold is then the first step's. Null to leave it alone.
    /// </summary>
    public double? TargetDensity { get; init; }

    /// <summary>With a target density, the thresholds to use instead of looking for them: those of a recipe, to make it again. [steps]</summary>
    public IReadOnlyList<double>? Thresholds { get; init; }

    /// <summary>First steps to keep dense.</summary>
    public int DenseSteps { get; init; }

    /// <summary>First layers to keep dense.</summary>
    public int DenseLayers { get; init; }

    /// <summary>Width of the video in pixels.</summary>
    public required int Width { get; init; }

    /// <summary>Height of the video in pixels.</summary>
    public required int Height { get; init; }

    /// <summary>Frames, 4n + 1.</summary>
    public required int Frames { get; init; }

    /// <summary>Frames a second.</summary>
    public required int Fps { get; init; }

    /// <summary>Solver steps.</summary>
    public required int Steps { get; init; }

    /// <summary>The solver's name: see <see cref="Solvers.Names"/>.</summary>
    public required string Solver { get; init; }

    /// <summary>The schedule's shift.</summary>
    public required double Shift { get; init; }

    /// <summary>Scale of classifier-free guidance; 1 skips the pass without the prompt.</summary>
    public required double Guidance { get; init; }

    /// <summary>Seed of the noise, 0 or more: the same noise on every device.</summary>
    public required long Seed { get; init; }

    /// <summary>Whether the pass without the prompt is needed.</summary>
    public bool IsGuided => Guidance != 1;

    /// <summary>The size of the latents. [C, T', h, w]</summary>
    public long[] LatentShape(LatentTraits latents) => latents.ShapeOf(Frames, Height, Width);

    /// <summary>How noise becomes latents.</summary>
    public SamplingSettings Sampling => new()
    {
        Attention = Attention,
        TargetDensity = TargetDensity,
        Thresholds = Thresholds,
        DenseSteps = DenseSteps,
        DenseLayers = DenseLayers,
        Steps = Steps,
        Solver = Solver,
        Shift = Shift,
        Guidance = Guidance,
    };

    /// <summary>Sees that a model can make this video.</summary>
    /// <exception cref="InvalidRequestException">A value is out of range, or one has no effect; the line says which and what would do.</exception>
    public void Check(VideoModel model) => Check(model.Transformer, model.Latents);

    /// <inheritdoc cref="Check(VideoModel)"/>
    public void Check(TransformerTraits transformer, LatentTraits latents)
    {
        Multiple("width", Width, latents.SpatialStride * transformer.Patch.Width);
        Multiple("height", Height, latents.SpatialStride * transformer.Patch.Height);
        Require(Frames >= 1 && (Frames - 1) % latents.TemporalStride == 0,
            $"frames must be {latents.TemporalStride}n + 1, such as {Nearest(Frames, latents.TemporalStride)}, found {Frames}");
        Require(Frames <= MostFrames, $"frames must be at most {MostFrames}, found {Frames}");
        Require(((Frames - 1) / latents.TemporalStride + 1) % transformer.Patch.Time == 0,
            $"frames: the latent frames must be a multiple of {transformer.Patch.Time}, found {(Frames - 1) / latents.TemporalStride + 1}");
        Require(Fps is >= 1 and <= 240, $"fps must be from 1 to 240, found {Fps}");
        Require(Steps is >= 1 and <= FlowSchedule.TrainTimesteps, $"steps must be from 1 to {FlowSchedule.TrainTimesteps}, found {Steps}");
        Require(Solvers.Names.Contains(Solver), $"solver '{Solver}' is not known: use {string.Join(", ", Solvers.Names)}");
        Require(Shift > 0 && double.IsFinite(Shift), $"shift must be above 0, found {Shift}");
        Require(Guidance >= 0 && double.IsFinite(Guidance), $"guidance must be 0 or more, found {Guidance}");
        Require(Seed >= 0, $"seed must be 0 or more, found {Seed}");
        Require(DenseSteps >= 0 && DenseLayers >= 0, "dense steps and dense layers must be 0 or more");
        Attention.HeadThresholds?.Check(Attention, transformer.Layers, transformer.Heads);
        if (Attention.IsDense)
        {
            Require(DenseSteps == 0 && DenseLayers == 0, "dense steps and dense layers have no effect on attention 'dense'");
        }
        else
        {
            Require(DenseSteps < Steps,
                $"attention '{Attention}' keeps the first {DenseSteps} steps dense and there are {Steps}, so nothing would be sparse: use --dense-steps or more --steps");
            Require(DenseLayers < transformer.Layers,
                $"the first {DenseLayers} layers are to be dense and the model has {transformer.Layers}, so nothing would be sparse");
        }

        if (TargetDensity is { } target)
        {
            Require(Attention.Threshold is not null, $"a target density adapts NABLA's threshold, and attention '{Attention}' has {(Attention.HeadThresholds is null ? "none" : "one for each head")}");
            var floor = DensityController.Floor(Attention, transformer.LayoutOf(LatentShape(latents)), transformer.Layers, DenseLayers);
            Require(target > floor && target < 1, $"target density must be below 1 and above {floor:0.000}, "
                + $"what attention '{Attention}' keeps at least at this size{(DenseLayers > 0 ? $" with {DenseLayers} dense layers" : "")}, found {target}");
        }

        Require(Thresholds is null || (TargetDensity is not null && Thresholds.Count == Steps && Thresholds.All(value => value is > 0 and <= 1)),
            "the thresholds of a recipe must be one for each step, each above 0 and at most 1, and belong to a target density");
    }

    private static void Multiple(string name, int value, int of)
    {
        Require(value <= MostPixels, $"{name} must be at most {MostPixels}, the most that H.264 takes, found {value}");
        Require(value >= of && value % of == 0,
            $"{name} must be a multiple of {of}, such as {Math.Max(of, (int)Math.Round((double)value / of) * of)}, found {value}");
    }

    private static int Nearest(int frames, int stride) => Math.Max(0, (int)Math.Round((frames - 1) / (double)stride)) * stride + 1;

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new InvalidRequestException(otherwise);
        }
    }
}
