using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Models;

namespace NablaGen.Jobs.Batch;

/// <summary>Rows of a prompt file + what the command line says of all → every video to make, in order, checked.</summary>
public static class BatchPlan
{
    private const int MostRows = 1_000_000;

    /// <summary>Makes the plan.</summary>
    /// <param name="rows">The prompt file's.</param>
    /// <param name="shared">What counts where a row says nothing.</param>
    /// <param name="seeds">Seeds of the rows that have none.</param>
    /// <param name="models">The rows' models, for their defaults and to check sizes.</param>
    /// <exception cref="InvalidRequestException">
    /// A row cannot be made (the message says which line), or something shared has no effect on any row.
    /// </exception>
    public static IReadOnlyList<BatchRow> Make(
        IReadOnlyList<PromptRow> rows, PartialRequest shared, SeedPlan seeds, RowModels models)
    {
        if (seeds.Seeds is not null && rows.All(row => row.Request.Seed is not null))
        {
            throw new InvalidRequestException("--seeds has no effect: every row has a seed of its own");
        }

        var each = seeds.Seeds?.Count ?? seeds.RepeatCount;
        var all = rows.Sum(row => seeds.Seeds is not null && row.Request.Seed is not null ? 1L : each);
        if (all > MostRows)
        {
            throw new InvalidRequestException($"{rows.Count} rows with their seeds are {all} videos, more than {MostRows}: make fewer at a time");
        }

        var planned = new List<BatchRow>();
        var copies = new Dictionary<PartialRequest, int>();
        var errors = new RowErrors();
        foreach (var row in rows)
        {
            errors.Try(() =>
            {
                var model = models.Of(row);
                var request = row.Request.Over(shared, model.Defaults);
                foreach (var seed in Seeds(request, seeds, copies, row.Where))
                {
                    var whole = Checked(request with { Seed = seed }, row.Where, model);
                    var number = planned.Count + 1;
                    planned.Add(new BatchRow(number, row.Where, RowName.Of(number, whole.Prompt, seed), whole, model));
                }
            });
        }

        errors.Throw();
        CheckShared(shared, planned);
        return planned;
    }

    /// <summary>Makes the plan with one model.</summary>
    /// <param name="rows">The prompt file's; none names parts of a model.</param>
    /// <param name="shared">What counts where a row says nothing.</param>
    /// <param name="seeds">Seeds of the rows that have none.</param>
    /// <param name="model">The model.</param>
    /// <exception cref="InvalidRequestException">A row cannot be made, or something shared has no effect on any row.</exception>
    public static IReadOnlyList<BatchRow> Make(IReadOnlyList<PromptRow> rows, PartialRequest shared, SeedPlan seeds, VideoModel model) =>
        Make(rows, shared, seeds, RowModels.One(rows, model));

    private static IEnumerable<long> Seeds(PartialRequest request, SeedPlan plan, Dictionary<PartialRequest, int> copies, string where)
    {
        if (request.Seed is { } own)
        {
            var count = plan.Seeds is null ? plan.RepeatCount : 1;
            return own <= long.MaxValue - (count - 1)
                ? Enumerable.Range(0, count).Select(copy => own + copy)
                : throw new InvalidRequestException($"{where}: {count} seeds from {own} on go past the largest, {long.MaxValue}");
        }

        if (plan.Seeds is { } seeds)
        {
            return seeds;
        }

        var first = copies.GetValueOrDefault(request);
        copies[request] = first + plan.RepeatCount;
        return Enumerable.Range(first, plan.RepeatCount).Select(copy => SeedPlan.Derive(request.Prompt!, copy));
    }

    private static GenerationRequest Checked(PartialRequest request, string where, RowModel model)
    {
        try
        {
            var whole = request.ToRequest(model.Defaults);
            whole.Check(model.Model);
            return whole;
        }
        catch (InvalidRequestException error)
        {
            throw new InvalidRequestException($"{where}: {error.Message}");
        }
    }

    // A row leaves out what has no effect on it; what has none on any is a mistake.
    private static void CheckShared(PartialRequest shared, List<BatchRow> rows)
    {
        if ((shared.DenseSteps ?? shared.DenseLayers) is not null && rows.All(row => row.Request.Attention.IsDense))
        {
            throw new InvalidRequestException("--dense-steps and --dense-layers have no effect on attention 'dense', which every row has");
        }

        if ((shared.Values.Get(RequestFields.MaskEvery) > 1 || shared.Values.Get(RequestFields.MaskFromStep) is not null) && rows.All(row => !row.Request.Attention.UsesNabla))
        {
            throw new InvalidRequestException("--mask-every and --mask-from-step have no effect: no row's attention chooses blocks");
        }

        if (shared.TargetDensity is not null && rows.All(row => row.Request.TargetDensity is null))
        {
            throw new InvalidRequestException("--target-density has no effect: every row has an attention of its own");
        }

        if (shared.NegativePrompt is not null && rows.All(row => !row.Request.IsGuided))
        {
            throw new InvalidRequestException("--negative-prompt has no effect at guidance 1, which every row has");
        }
    }
}
