using System.Diagnostics;
using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Training.Evaluation.Generation;
using NablaGen.Training.Evaluation.Results;

namespace NablaGen.Training.Evaluation.Running;

/// <summary>
/// Makes the videos of a plan, measures them and keeps the rows: run again, it makes what is missing. While a batch is made, the one
/// before it is measured.
/// </summary>
/// <param name="plan">What to make.</param>
/// <param name="generator">What makes it.</param>
/// <param name="rows">What is known already; new rows are added.</param>
/// <param name="batch">How many videos are made at once.</param>
/// <param name="progress">Is told how it goes.</param>
/// <param name="keeper">Where videos are kept; null for nowhere.</param>
public sealed class EvaluationRunner(
    EvaluationPlan plan, IClipGenerator generator, RowFile rows, int batch, IEvaluationProgress? progress = null, KeptClips? keeper = null)
{
    private readonly Stopwatch _watch = new();
    private int _before;
    private int _done;

    /// <summary>Runs it.</summary>
    /// <param name="cancellation">Stops the work; what is made by then is measured and kept.</param>
    /// <exception cref="NablaGenException">A video cannot be made, or something cannot be written.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public EvaluationReport Run(CancellationToken cancellation = default)
    {
        var subjects = plan.Seeds.SelectMany(seed => plan.Prompts.Select(prompt => new Subject(prompt, seed))).ToArray();
        _before = _done = subjects.Sum(subject => plan.Attentions.Count(attention => Find(subject, attention) is not null));
        progress?.OnStart(plan.Videos, _done);
        if (_done < plan.Videos)
        {
            generator.Prepare([.. plan.Prompts.Select(prompt => plan.Request(prompt, plan.Seeds[0], AttentionExpression.Dense))], cancellation);
            Make(subjects, cancellation);
        }

        return Report(subjects);
    }

    private void Make(Subject[] subjects, CancellationToken cancellation)
    {
        _watch.Start();
        var measuring = Task.CompletedTask;
        try
        {
            foreach (var chunk in subjects.Where(subject => plan.Attentions.Any(attention => Find(subject, attention) is null)).Chunk(batch))
            {
                // Made again where a row is there but others to be compared with it are not.
                var dense = Generate(chunk, AttentionExpression.Dense, cancellation);
                foreach (var attention in plan.Attentions)
                {
                    Subject[] missing = [.. chunk.Where(subject => Find(subject, attention) is null)];
                    if (missing.Length == 0)
                    {
                        continue;
                    }

                    var clips = attention.IsDense ? dense : Generate(missing, attention, cancellation);
                    measuring.GetAwaiter().GetResult();
                    measuring = Task.Run(() => Measure(missing, attention, clips, dense), CancellationToken.None);
                }
            }
        }
        catch
        {
            // What is made by now is kept, whatever stopped the rest.
            measuring.GetAwaiter().GetResult();
            throw;
        }

        measuring.GetAwaiter().GetResult();
    }

    private Dictionary<Subject, GeneratedClip> Generate(Subject[] subjects, AttentionExpression attention, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var clips = generator.Generate([.. subjects.Select(subject => Request(subject, attention))], cancellation);
        return subjects.Zip(clips).ToDictionary(pair => pair.First, pair => pair.Second);
    }

    private void Measure(
        Subject[] subjects, AttentionExpression attention, Dictionary<Subject, GeneratedClip> clips, Dictionary<Subject, GeneratedClip> dense)
    {
        var measured = new EvaluationRow[subjects.Length];
        // The scorer itself takes several cores for a clip.
        Parallel.For(0, subjects.Length, new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, Environment.ProcessorCount / 4) }, i =>
        {
            var (subject, clip) = (subjects[i], clips[subjects[i]]);
            var verdict = subject.Prompt.Expectation.Judge(ClipScorer.Measure(clip.Frames));
            double? kept = subject.Prompt.Picture is { } picture ? PictureSuite.Psnr(clip.Frames, picture.Load()) : null;
            if (kept is { } near)
            {
                verdict = new ClipVerdict([.. verdict.Attributes, new AttributeVerdict(
                    ClipAttribute.Picture, $"at least {PictureSuite.LeastPsnr} dB", $"{near:F1} dB", near >= PictureSuite.LeastPsnr)]);
            }

            ReferenceQuality? quality = attention.IsDense ? null : ReferenceQuality.Measure(dense[subject].Frames, clip.Frames);
            measured[i] = new EvaluationRow
            {
                Rules = ClipScorer.Rules,
                HeldOut = subject.Prompt.IsHeldOut,
                Success = verdict.IsSuccess,
                Attributes = verdict.Attributes,
                Psnr = quality?.Psnr,
                Ssim = quality?.Ssim,
                PicturePsnr = kept,
                Density = clip.Density,
                ComputedSteps = clip.ComputedSteps,
                SamplingSeconds = clip.SamplingSeconds,
                DecodingSeconds = clip.DecodingSeconds,
                Batch = clips.Count,
                Recipe = RecipeOf(subject, attention),
            };
        });
        for (int i = 0; keeper is not null && i < measured.Length; i++)
        {
            keeper.Save(measured[i], clips[subjects[i]].Frames);
        }

        rows.Add(measured);
        _done += measured.Length;
        progress?.OnRows(measured, _done, plan.Videos, _watch.Elapsed / (_done - _before) * (plan.Videos - _done));
    }

    private EvaluationReport Report(Subject[] subjects)
    {
        var dense = Rows(plan.Attentions[0]);
        return new EvaluationReport
        {
            SeenPrompts = plan.Prompts.Count(prompt => !prompt.IsHeldOut),
            HeldOutPrompts = plan.Prompts.Count(prompt => prompt.IsHeldOut),
            Seeds = plan.Seeds,
            Recipe = dense[0].Recipe,
            Expressions = [.. plan.Attentions.Select(attention => attention.IsDense ? ExpressionResult.Of(dense, null) : ExpressionResult.Of(Rows(attention), dense))],
        };

        EvaluationRow[] Rows(AttentionExpression attention) => [.. subjects.Select(subject => Find(subject, attention)!)];
    }

    private EvaluationRow? Find(Subject subject, AttentionExpression attention) => rows.Find(RecipeOf(subject, attention));

    private Recipe RecipeOf(Subject subject, AttentionExpression attention) => generator.RecipeOf(Request(subject, attention));

    private GenerationRequest Request(Subject subject, AttentionExpression attention) => plan.Request(subject.Prompt, subject.Seed, attention);

    private sealed record Subject(EvaluationPrompt Prompt, long Seed);
}
