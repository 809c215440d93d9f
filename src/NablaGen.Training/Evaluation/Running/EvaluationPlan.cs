using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Models;

namespace NablaGen.Training.Evaluation.Running;

/// <summary>What an evaluation makes: each prompt with each seed and each attention.</summary>
public sealed record EvaluationPlan
{
    /// <summary>
    /// The expressions measured by default: NABLA from 0.95 to 0.1, and two windows that mean something on the 9 × 2 × 2 blocks of the model
    /// in the box: a frame and its neighbours (0.31 of the block pairs), and of these the same corner alone (0.08); the latter with NABLA, too.
    /// </summary>
    public static IReadOnlyList<string> DefaultAttentions { get; } =
    [
        "dense", "nabla-0.95", .. Enumerable.Range(1, 9).Reverse().Select(tenth => $"nabla-0.{tenth}"), "sta-3-3-3", "sta-3-1-1", "nabla-0.6_sta-3-1-1",
    ];

    /// <summary>
    /// What is measured by default without a GPU, so that two cores are done within an hour: a third of the suite, once, with dense attention
    /// and NABLA at two thresholds.
    /// </summary>
    public static IReadOnlyList<string> CpuAttentions { get; } = ["dense", "nabla-0.95", "nabla-0.8"];

    /// <summary>Prompts by default without a GPU.</summary>
    public const int CpuPrompts = 28;

    /// <summary>Videos of the plan.</summary>
    public int Videos => Prompts.Count * Seeds.Count * Attentions.Count;

    /// <summary>The prompts.</summary>
    public required IReadOnlyList<EvaluationPrompt> Prompts { get; init; }

    /// <summary>The seeds that each prompt is made with.</summary>
    public required IReadOnlyList<long> Seeds { get; init; }

    /// <summary>The attentions; the first is dense, what the others are compared with.</summary>
    public required IReadOnlyList<AttentionExpression> Attentions { get; init; }

    /// <summary>What all requests share; prompt, seed and attention in it do not count.</summary>
    public required PartialRequest Shared { get; init; }

    /// <summary>What the model uses where <see cref="Shared"/> says nothing.</summary>
    public required GenerationDefaults Defaults { get; init; }

    /// <summary>So many prompts of the suite, evenly over it, so that seen and held-out ones keep their shares; all for null.</summary>
    /// <exception cref="InvalidRequestException">There are not so many, or none are asked for.</exception>
    public static IReadOnlyList<EvaluationPrompt> Choose(int? prompts)
    {
        var all = EvaluationSuite.All;
        return prompts is null ? all
            : prompts >= 1 && prompts <= all.Count ? [.. Enumerable.Range(0, prompts.Value).Select(i => all[(int)((i + 0.5) * all.Count / prompts.Value)])]
            : throw new InvalidRequestException($"prompts must be from 1 to {all.Count}, found {prompts}");
    }

    /// <summary>Reads expressions; dense comes first, named or not.</summary>
    /// <exception cref="InvalidRequestException">One is wrong, or is there twice.</exception>
    public static IReadOnlyList<AttentionExpression> Parse(IEnumerable<string> expressions)
    {
        var parsed = expressions.Select(ThresholdFile.ParseExpression).ToList();
        return parsed.GroupBy(expression => expression).FirstOrDefault(group => group.Count() > 1) is { } twice
            ? throw new InvalidRequestException($"attention '{twice.Key}' is named twice")
            : [AttentionExpression.Dense, .. parsed.Where(expression => !expression.IsDense)];
    }

    /// <summary>The request of one video.</summary>
    public GenerationRequest Request(EvaluationPrompt prompt, long seed, AttentionExpression attention)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        ArgumentNullException.ThrowIfNull(attention);
        return (Shared with
        {
            Values = SparsityRules.Of(Shared.Values, attention),
            Prompt = prompt.Text,
            Seed = seed,
            Attention = attention,
            DenseSteps = attention.IsDense ? null : Shared.DenseSteps ?? (Shared.Get(RequestFields.MaskFromStep) is null ? DenseSteps(attention) : null),
            DenseLayers = attention.IsDense ? null : Shared.DenseLayers,
        }).With(PictureFields.Image, prompt.Picture).ToRequest(Defaults);
    }

    /// <summary>Sees that a model can make all of it.</summary>
    /// <exception cref="InvalidRequestException">It cannot; the line says why.</exception>
    public void Check(VideoModel model)
    {
        if (Attentions.All(attention => attention.IsDense) && (Shared.DenseSteps ?? Shared.DenseLayers) is not null)
        {
            throw new InvalidRequestException("--dense-steps and --dense-layers have no effect on attention 'dense'");
        }

        foreach (var request in Attentions.Select(attention => Request(Prompts[0], Seeds[0], attention)))
        {
            if (model.Pictures.TakesFirst && request.Image is null)
            {
                // The pictures are made once it is known that the rest is right.
                request.Check(model.Transformer, model.Latents);
            }
            else
            {
                request.Check(model);
            }
        }
    }

    // STA's 12 dense steps are meant for the reference's 50: of fewer, as large a part.
    private int DenseSteps(AttentionExpression attention)
    {
        int wan = GenerationDefaults.Wan.Steps, steps = Shared.Steps ?? Defaults.Steps;
        return (int)Math.Round(attention.DefaultDenseSteps * Math.Min(1, steps / (double)wan));
    }
}
