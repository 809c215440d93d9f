using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Models;

namespace NablaGen.Generation;

/// <summary>What a user says of a request: each null is left to something else, in the end to the model's defaults.</summary>
public sealed record PartialRequest
{
    /// <summary>What to show.</summary>
    public string? Prompt { get; init; }

    /// <summary>What not to show.</summary>
    public string? NegativePrompt { get; init; }

    /// <summary>The self-attention.</summary>
    public AttentionExpression? Attention { get; init; }

    /// <summary>The mean density to hold.</summary>
    public double? TargetDensity { get; init; }

    /// <summary>The thresholds that held it; only a recipe says them.</summary>
    public IReadOnlyList<double>? Thresholds { get; init; }

    /// <summary>First steps to keep dense.</summary>
    public int? DenseSteps { get; init; }

    /// <summary>First layers to keep dense.</summary>
    public int? DenseLayers { get; init; }

    /// <summary>Width of the video in pixels.</summary>
    public int? Width { get; init; }

    /// <summary>Height of the video in pixels.</summary>
    public int? Height { get; init; }

    /// <summary>Frames, 4n + 1.</summary>
    public int? Frames { get; init; }

    /// <summary>Frames a second.</summary>
    public int? Fps { get; init; }

    /// <summary>Solver steps.</summary>
    public int? Steps { get; init; }

    /// <summary>The solver's name.</summary>
    public string? Solver { get; init; }

    /// <summary>The schedule's shift.</summary>
    public double? Shift { get; init; }

    /// <summary>Scale of classifier-free guidance.</summary>
    public double? Guidance { get; init; }

    /// <summary>Seed of the noise.</summary>
    public long? Seed { get; init; }

    /// <summary>What a recipe says: completed with its model's defaults it makes the same video.</summary>
    /// <exception cref="NablaGenException">Its attention cannot be read.</exception>
    public static PartialRequest Of(Recipe recipe)
    {
        var attention = AttentionExpression.Parse(recipe.Attention, recipe.HeadThresholds);
        return new PartialRequest
        {
            Prompt = recipe.Prompt,
            NegativePrompt = recipe.NegativePrompt,
            Attention = attention,
            TargetDensity = recipe.TargetDensity,
            Thresholds = recipe.Thresholds,
            // What is the default of this attention is left to that of another.
            DenseSteps = recipe.DenseSteps == attention.DefaultDenseSteps ? null : recipe.DenseSteps,
            DenseLayers = recipe.DenseLayers == 0 ? null : recipe.DenseLayers,
            Width = recipe.Width,
            Height = recipe.Height,
            Frames = recipe.Frames,
            Fps = recipe.Fps,
            Steps = recipe.Steps,
            Solver = recipe.Solver,
            Shift = recipe.Shift,
            Guidance = recipe.Guidance,
            Seed = recipe.Seed,
        };
    }

    /// <summary>
    /// This, and where it says nothing, another: a row of a list over the command line, flags over a recipe. What the other says and
    /// would have no effect here is left out, such as its dense steps where this asks for dense attention.
    /// </summary>
    /// <param name="other">What counts where this is null.</param>
    /// <param name="defaults">The model's, which tell what has an effect.</param>
    public PartialRequest Over(PartialRequest other, GenerationDefaults defaults)
    {
        // A target takes the place of an attention that has no threshold, and an attention that of a target.
        var attention = Attention ?? (TargetDensity is not null && other.Attention?.Threshold is null ? null : other.Attention);
        var target = TargetDensity ?? (Attention is null ? other.TargetDensity : null);
        var guidance = Guidance ?? other.Guidance;
        var sparse = !Resolve(attention, target, defaults).IsDense;
        return new PartialRequest
        {
            Prompt = Prompt ?? other.Prompt,
            NegativePrompt = NegativePrompt ?? ((guidance ?? defaults.Guidance) == 1 ? null : other.NegativePrompt),
            Attention = attention,
            TargetDensity = target,
            // They fit the latents they were found for, which all but the frame rate changes.
            Thresholds = Thresholds ?? (this with { Fps = null } == new PartialRequest() ? other.Thresholds : null),
            DenseSteps = DenseSteps ?? (sparse ? other.DenseSteps : null),
            DenseLayers = DenseLayers ?? (sparse ? other.DenseLayers : null),
            Width = Width ?? other.Width,
            Height = Height ?? other.Height,
            Frames = Frames ?? other.Frames,
            Fps = Fps ?? other.Fps,
            Steps = Steps ?? other.Steps,
            Solver = Solver ?? other.Solver,
            Shift = Shift ?? other.Shift,
            Guidance = guidance,
            Seed = Seed ?? other.Seed,
        };
    }

    /// <summary>The whole request; without a seed it gets a random one.</summary>
    /// <param name="defaults">The model's.</param>
    /// <exception cref="InvalidRequestException">There is no prompt, or something said has no effect.</exception>
    public GenerationRequest ToRequest(GenerationDefaults defaults)
    {
        if (string.IsNullOrWhiteSpace(Prompt))
        {
            throw new InvalidRequestException("the prompt is empty");
        }

        var attention = Resolve(Attention, TargetDensity, defaults);
        if (TargetDensity is not null && attention.Threshold is null)
        {
            throw new InvalidRequestException(attention.HeadThresholds is null
                ? $"--target-density adapts NABLA's threshold, and attention '{attention}' has none"
                : $"--target-density adapts one threshold for all heads, and attention '{attention}' has one for each: calibrate for that density instead");
        }

        if (attention.IsDense && (DenseSteps ?? DenseLayers) is not null)
        {
            throw new InvalidRequestException("--dense-steps and --dense-layers have no effect on attention 'dense'");
        }

        var request = new GenerationRequest
        {
            Prompt = Prompt,
            NegativePrompt = NegativePrompt ?? defaults.NegativePrompt,
            Attention = attention,
            TargetDensity = TargetDensity,
            Thresholds = Thresholds,
            DenseSteps = DenseSteps ?? attention.DefaultDenseSteps,
            DenseLayers = DenseLayers ?? 0,
            Width = Width ?? defaults.Width,
            Height = Height ?? defaults.Height,
            Frames = Frames ?? defaults.Frames,
            Fps = Fps ?? defaults.Fps,
            Steps = Steps ?? defaults.Steps,
            Solver = Solver ?? defaults.Solver,
            Shift = Shift ?? defaults.Shift,
            Guidance = Guidance ?? defaults.Guidance,
            Seed = Seed ?? Random.Shared.Next(),
        };
        return request.IsGuided || NegativePrompt is null
            ? request
            : throw new InvalidRequestException("--negative-prompt has no effect at guidance 1");
    }

    /// <summary>The attention of <c>--attention</c> or its short form <c>--threshold</c>; null where neither is given.</summary>
    /// <exception cref="InvalidRequestException">Both are given, or a threshold with a target density, or one is wrong.</exception>
    public static AttentionExpression? ParseAttention(string? expression, double? threshold, double? targetDensity) => (expression, threshold) switch
    {
        (_, not null) when targetDensity is not null =>
            throw new InvalidRequestException("--target-density adapts the threshold that --threshold fixes: give one of them"),
        (not null, not null) => throw new InvalidRequestException("--threshold and --attention both say what attention to use: give one of them"),
        (_, { } value) => AttentionExpression.Nabla(value),
        ({ } text, _) => ThresholdFile.ParseExpression(text),
        _ => null,
    };

    // A target on its own needs a threshold to begin with.
    private static AttentionExpression Resolve(AttentionExpression? attention, double? target, GenerationDefaults defaults)
    {
        var chosen = attention ?? ThresholdFile.ParseExpression(defaults.Attention);
        return attention is null && chosen.Threshold is null && target is > 0 and < 1
            ? AttentionExpression.Nabla(DensityController.FirstThreshold(target.Value))
            : chosen;
    }
}
