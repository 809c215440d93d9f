using NablaGen.Attention;
using NablaGen.Models;

namespace NablaGen.Generation.Fields;

/// <summary>The rules that bind the attention to what is kept dense beside it and to how long its masks serve.</summary>
internal static class SparsityRules
{
    /// <summary>
    /// The share of the steps that NABLA keeps dense by default with weights that were not trained for sparse attention: the best of what
    /// docs/evaluation.md measures.
    /// </summary>
    internal const double DenseShare = 0.1;

    // Of a target density at most this share goes to dense steps.
    private const double ShareOfTarget = 0.5;

    /// <summary>What is said there and would have no effect over what is said here is left out.</summary>
    /// <param name="here">What is said here.</param>
    /// <param name="there">What is said there.</param>
    /// <param name="attention">The attention of both.</param>
    public static FieldValues Under(FieldValues here, FieldValues there, AttentionExpression attention)
    {
        if (!attention.UsesNabla && there.Get(RequestFields.Attention)?.UsesNabla == true && there.Get(RequestFields.DenseSteps) == 0)
        {
            // None is what NABLA has, and a window alone has another default.
            there = there.With(RequestFields.DenseSteps, null);
        }

        there = Of(there, attention);
        if (here.Get(RequestFields.MaskFromStep) is not null)
        {
            there = there.With(RequestFields.DenseSteps, null).With(RequestFields.MaskEvery, null).With(RequestFields.TargetDensity, null)
                .With(RequestFields.Thresholds, null);
        }
        else if (here.Get(RequestFields.DenseSteps) is not null || here.Get(RequestFields.TargetDensity) is not null || here.Get(RequestFields.MaskEvery) > 1)
        {
            there = there.Get(RequestFields.MaskFromStep) is null ? there : there.With(RequestFields.MaskFromStep, null).With(RequestFields.DenseSteps, null);
        }

        return there;
    }

    /// <summary>Without what has no effect on an attention.</summary>
    public static FieldValues Of(FieldValues values, AttentionExpression attention)
    {
        if (attention.IsDense)
        {
            values = values.With(RequestFields.DenseSteps, null).With(RequestFields.DenseLayers, null);
        }

        return attention.UsesNabla ? values : values.With(RequestFields.MaskEvery, null).With(RequestFields.MaskFromStep, null);
    }

    /// <summary>The dense steps and layers of a request, and a check of what is said with them.</summary>
    /// <param name="said">What is said, with a number of steps if one is.</param>
    /// <param name="attention">The attention.</param>
    /// <param name="defaults">The model's.</param>
    /// <exception cref="InvalidRequestException">Something said has no effect.</exception>
    public static FieldValues Complete(FieldValues said, AttentionExpression attention, GenerationDefaults defaults)
    {
        if (attention.IsDense && (said.Get(RequestFields.DenseSteps) ?? said.Get(RequestFields.DenseLayers)) is not null)
        {
            throw new InvalidRequestException("--dense-steps and --dense-layers have no effect on attention 'dense'");
        }

        var (every, from) = (said.Get(RequestFields.MaskEvery), said.Get(RequestFields.MaskFromStep));
        if (!attention.UsesNabla && (every > 1 || from is not null))
        {
            throw new InvalidRequestException($"--mask-every and --mask-from-step have no effect on attention '{attention}', which chooses no blocks");
        }

        if (from is not null && every > 1)
        {
            throw new InvalidRequestException("--mask-from-step chooses the masks once, so --mask-every has no effect: give one of them");
        }

        if (from is not null && said.Get(RequestFields.TargetDensity) is not null)
        {
            throw new InvalidRequestException("--target-density adapts the threshold from step to step, and --mask-from-step uses it once: give one of them");
        }

        var steps = said.Get(RequestFields.DenseSteps);
        if (from is { } step && steps is not (null or AutoKind.Auto) && steps != step)
        {
            throw new InvalidRequestException($"--mask-from-step {step} keeps the first {step} steps dense, and --dense-steps says {steps}: leave that out");
        }

        return said.With(RequestFields.DenseSteps, steps is null or AutoKind.Auto ? from ?? Automatic(said, attention, defaults) : steps)
            .With(RequestFields.DenseLayers, said.Get(RequestFields.DenseLayers) is null or AutoKind.Auto ? 0 : said.Get(RequestFields.DenseLayers));
    }

    /// <summary>Sees that a request's masks can be made as it says.</summary>
    /// <exception cref="InvalidRequestException">They cannot.</exception>
    public static void Check(GenerationRequest request, TransformerTraits transformer)
    {
        if (request.MaskEvery == 1 && request.MaskFromStep is null)
        {
            return;
        }

        if (!request.Attention.UsesNabla)
        {
            throw new InvalidRequestException($"masks are not kept from step to step with attention '{request.Attention}', which chooses no blocks");
        }

        if (request.MaskFromStep is { } step && step != request.DenseSteps)
        {
            throw new InvalidRequestException($"masks are chosen in dense step {step}, so {step} steps must be dense, found {request.DenseSteps}");
        }

        if (request.MaskFromStep is not null && (request.MaskEvery > 1 || request.TargetDensity is not null))
        {
            throw new InvalidRequestException("masks that are chosen once go with neither a target density nor --mask-every");
        }

        if (transformer.Boundary is not null)
        {
            throw new InvalidRequestException("--mask-every and --mask-from-step keep masks from step to step, and this model has two transformers: leave them out");
        }
    }

    // Weights that were trained for sparse attention need none, and calibrated thresholds were found for a density without any.
    private static int Automatic(FieldValues said, AttentionExpression attention, GenerationDefaults defaults)
    {
        if (attention.Threshold is null || defaults.IsTrainedSparse)
        {
            return attention.DefaultDenseSteps;
        }

        var steps = said.Get(RequestFields.Steps) ?? defaults.Steps;
        var dense = Math.Min((int)Math.Round(DenseShare * steps), steps - 1);
        return said.Get(RequestFields.TargetDensity) is { } target ? Math.Min(dense, (int)(ShareOfTarget * target * steps)) : dense;
    }
}
