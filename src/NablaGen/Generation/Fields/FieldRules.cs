using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Weights.Lora;

namespace NablaGen.Generation.Fields;

/// <summary>The rules that bind fields to one another; what a field says by itself is its own entry's. No other code has such a rule.</summary>
internal static class FieldRules
{
    /// <summary><c>--threshold</c> is short for an attention: it is taken for that, and gone.</summary>
    /// <exception cref="InvalidRequestException">An attention is named too, or a target density, which would change the threshold.</exception>
    public static FieldValues JoinThreshold(FieldValues said)
    {
        if (said.Get(RequestFields.Threshold) is not { } threshold)
        {
            return said;
        }

        if (said.Get(RequestFields.TargetDensity) is not null)
        {
            throw new InvalidRequestException("--target-density adapts the threshold that --threshold fixes: give one of them");
        }

        return said.Get(RequestFields.Attention) is null
            ? said.With(RequestFields.Threshold, null).With(RequestFields.Attention, AttentionExpression.Nabla(threshold))
            : throw new InvalidRequestException("--threshold and --attention both say what attention to use: give one of them");
    }

    /// <summary>
    /// What is said here, and where that is nothing, what is said there; what is said there and would have no effect here is left out,
    /// such as its dense steps where dense attention is asked for here.
    /// </summary>
    public static FieldValues Over(FieldValues here, FieldValues there, GenerationDefaults defaults)
    {
        here = JoinThreshold(here);
        there = JoinThreshold(there);
        // A target takes the place of an attention that has no threshold, and an attention that of a target.
        if (here.Get(RequestFields.TargetDensity) is not null && there.Get(RequestFields.Attention)?.Threshold is null)
        {
            there = there.With(RequestFields.Attention, null);
        }

        if (here.Get(RequestFields.Attention) is not null)
        {
            there = there.With(RequestFields.TargetDensity, null);
        }

        there = PictureRules.Under(here, there);

        // The thresholds of a recipe fit the latents that they were found for.
        if (here.Fields.Any(field => field.ChangesLatents && !FieldValues.AreEqual(here.Find(field), there.Find(field))))
        {
            there = there.With(RequestFields.Thresholds, null);
        }

        // A number of steps takes the place of a list of timesteps, and a list that of a number.
        if (here.Get(RequestFields.Steps) is not null && here.Get(RequestFields.Timesteps) is null)
        {
            there = there.With(RequestFields.Timesteps, null);
        }
        else if (here.Get(RequestFields.Timesteps) is not null)
        {
            there = there.With(RequestFields.Steps, null);
        }

        var both = here.Over(there);
        if (!IsGuided(PictureRules.CompleteGuidance(both, defaults), defaults))
        {
            there = there.With(RequestFields.NegativePrompt, null);
        }

        return here.Over(SparsityRules.Under(here, there, AttentionOf(both, defaults)));
    }

    /// <summary>A whole request: what is said, then the model's defaults, then the fields' own.</summary>
    /// <exception cref="InvalidRequestException">There is no prompt, a value is out of range, or something said has no effect.</exception>
    public static GenerationRequest Complete(FieldValues said, GenerationDefaults defaults)
    {
        if (string.IsNullOrWhiteSpace(said.Get(RequestFields.Prompt)))
        {
            throw new InvalidRequestException("the prompt is empty");
        }

        said.Check();
        said = WithSteps(JoinThreshold(said), defaults);
        var attention = AttentionOf(said, defaults);
        if (said.Get(RequestFields.TargetDensity) is not null && attention.Threshold is null)
        {
            throw new InvalidRequestException(attention.HeadThresholds is null
                ? $"--target-density adapts NABLA's threshold, and attention '{attention}' has none"
                : $"--target-density adapts one threshold for all heads, and attention '{attention}' has one for each: calibrate for that density instead");
        }

        said = SparsityRules.Complete(said, attention, defaults);
        said = PictureRules.Complete(said, defaults);
        said = PictureRules.CompleteGuidance(said, defaults);
        var whole = said.With(RequestFields.Attention, attention)
            .With(RequestFields.Seed, said.Get(RequestFields.Seed) ?? Random.Shared.Next());
        foreach (var field in defaults.Table.Fields.Where(field => field != RequestFields.Timesteps && whole.Find(field) is null))
        {
            whole = whole.Set(field, defaults.Find(field) ?? field.Default
                ?? (field.IsInEveryRecipe ? throw new InvalidRequestException($"the model has no default for {field.Option}: name a value") : null));
        }

        return IsGuided(whole, defaults) || said.Get(RequestFields.NegativePrompt) is null
            ? new GenerationRequest(whole)
            : throw new InvalidRequestException("--negative-prompt has no effect at guidance 1");
    }

    // What a LoRA for few steps brings, where nothing else is said; then as many steps as there are timesteps.
    private static FieldValues WithSteps(FieldValues said, GenerationDefaults defaults)
    {
        var loras = said.Get(RequestFields.Lora) ?? defaults.Get(RequestFields.Lora) ?? LoraList.Empty;
        if (defaults.FewStepsOf(loras) is { } few)
        {
            said = Over(said, few.Values, defaults);
        }

        var timesteps = said.Get(RequestFields.Timesteps) ?? (said.Get(RequestFields.Steps) is null ? defaults.Get(RequestFields.Timesteps) : null);
        return timesteps is null ? said
            : said.Get(RequestFields.Steps) is { } steps && steps != timesteps.Count
            ? throw new InvalidRequestException($"--timesteps names {timesteps.Count} steps and --steps says {steps}: give one of them")
            : said.With(RequestFields.Timesteps, timesteps).With(RequestFields.Steps, timesteps.Count);
    }

    /// <summary>What a recipe keeps of a whole request: nothing that has no effect, and nothing that an older version would not have written.</summary>
    public static FieldValues ForRecipe(FieldValues whole)
    {
        if (whole.Get(RequestFields.Guidance) == 1 && whole.Get(PictureFields.GuidanceHigh) is null or 1)
        {
            whole = whole.With(RequestFields.NegativePrompt, null);
        }

        foreach (var (field, value) in whole.InOrder())
        {
            if (!field.IsIn(FieldPlaces.Recipe) || (!field.IsInEveryRecipe && FieldValues.AreEqual(value, field.Default)))
            {
                whole = whole.Set(field, null);
            }
        }

        return whole;
    }

    /// <summary>What a recipe says of the same video made again. What is its attention's own default is left to that of another attention.</summary>
    public static FieldValues FromRecipe(FieldValues recipe, RequestFieldTable table)
    {
        var attention = recipe.Get(RequestFields.Attention)!;
        // NABLA's own depends on the weights: the recipe's is what was.
        if (!attention.UsesNabla && recipe.Get(RequestFields.DenseSteps) == attention.DefaultDenseSteps)
        {
            recipe = recipe.With(RequestFields.DenseSteps, null);
        }

        if (recipe.Get(RequestFields.DenseLayers) == RequestFields.DenseLayers.DefaultValue)
        {
            recipe = recipe.With(RequestFields.DenseLayers, null);
        }

        // What a recipe leaves out was the field's own default, whatever the model's is today.
        foreach (var field in table.In(FieldPlaces.Recipe).Where(field => !field.IsInEveryRecipe && field.Default is not null && recipe.Find(field) is null))
        {
            recipe = recipe.Set(field, field.Default);
        }

        return recipe;
    }

    private static bool IsGuided(FieldValues values, GenerationDefaults defaults) =>
        (values.Get(RequestFields.Guidance) ?? defaults.Guidance) != 1 || values.Get(PictureFields.GuidanceHigh) is not (null or 1);

    // A target on its own needs a threshold to begin with.
    private static AttentionExpression AttentionOf(FieldValues said, GenerationDefaults defaults)
    {
        if (said.Get(RequestFields.Attention) is { } asked)
        {
            return asked;
        }

        var attention = defaults.Attention;
        return attention.Threshold is null && attention.RolaShare is null && said.Get(RequestFields.TargetDensity) is > 0 and < 1 and var target
            ? AttentionExpression.Nabla(DensityController.FirstThreshold(target))
            : attention;
    }
}
