using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>What a prompt asks of a clip; null is anything.</summary>
/// <param name="Objects">What it asks of each object.</param>
/// <param name="Count">How many objects there are.</param>
/// <param name="Arrangement">How the first of two lies to the second.</param>
/// <param name="Backdrop">What is behind them.</param>
public sealed record Expectation(
    IReadOnlyList<ObjectExpectation> Objects, int? Count = null, Arrangement? Arrangement = null, Backdrop? Backdrop = null)
{
    /// <summary>The most flicker that passes: about the least that one sees.</summary>
    public const double MostFlicker = 0.02;

    /// <summary>The least part of the frames whose outline must fit: one of 33 may be off, by as little as is said below.</summary>
    public const double LeastFitting = 0.96;

    /// <summary>The most of a shape's area that may be wrong in any frame.</summary>
    public const double MostMisfit = 0.08;

    /// <summary>The most of a frame that may be as vivid as an object beside the objects.</summary>
    public const double MostGhosts = 0.003;

    /// <summary>The sharpest upright edge that the backdrop may have along the tokens' borders, in lightness.</summary>
    public const double MostBlocks = 0.05;

    /// <summary>All that there is to ask of a scene: what a clip of it must show.</summary>
    public static Expectation Of(Scene scene)
    {
        ArgumentNullException.ThrowIfNull(scene);
        return new(
            [.. scene.Objects.Select(o => new ObjectExpectation(o.Colour, o.Shape, o.Size, o.Motion, o.Place))],
            scene.Objects.Count, scene.Arrangement, scene.Backdrop);
    }

    /// <summary>
    /// Compares a clip with it. Which object found is which asked for is decided by what makes the most right. An object that is missing
    /// has nothing right.
    /// </summary>
    public ClipVerdict Judge(ClipMeasurement clip)
    {
        ArgumentNullException.ThrowIfNull(clip);
        var best = Pairings(clip.Objects).Select(found => Compare(found, clip)).MaxBy(verdicts => verdicts.Count(v => v.Right))!;
        return new ClipVerdict(best);
    }

    private List<AttributeVerdict> Compare(MeasuredObject?[] found, ClipMeasurement clip)
    {
        var verdicts = new List<AttributeVerdict>();
        Add(ClipAttribute.Count, Count, (int?)clip.Objects.Count);
        for (int i = 0; i < Objects.Count; i++)
        {
            Add(ClipAttribute.Colour, Objects[i].Colour, found[i]?.Colour);
            Add(ClipAttribute.Shape, Objects[i].Shape, found[i]?.Shape);
            Add(ClipAttribute.Size, Objects[i].Size, found[i]?.Size);
            Add(ClipAttribute.Motion, Objects[i].Motion, found[i]?.Motion);
            Add(ClipAttribute.Place, Objects[i].Place, found[i]?.Place);
            // Asked for or not: an object that falls to pieces is never right.
            var outline = found[i]?.Outline;
            verdicts.Add(new AttributeVerdict(
                ClipAttribute.Outline, $"{LeastFitting:0%} of the frames fit and none is off by more than {MostMisfit:0%}",
                outline is null ? "none" : $"{outline.Share:0%}, {outline.Worst:0%} in frame {outline.WorstFrame}",
                outline is { Share: >= LeastFitting, Worst: <= MostMisfit }));
            verdicts.Add(new AttributeVerdict(
                ClipAttribute.Jumps, "at most 1", found[i] is { } one ? $"{one.Jump:F2}" : "none", found[i] is { Jump: <= 1 }));
        }

        Add(ClipAttribute.Arrangement, Arrangement,
            found is [{ } first, { } second, ..] ? ClipScorer.ArrangementOf(first, second) : (Arrangement?)null);
        Add(ClipAttribute.Backdrop, Backdrop, clip.Backdrop);
        verdicts.Add(new AttributeVerdict(ClipAttribute.Flicker, $"at most {MostFlicker}", $"{clip.Flicker:F4}", clip.Flicker <= MostFlicker));
        verdicts.Add(new AttributeVerdict(ClipAttribute.Ghosts, $"at most {MostGhosts}", $"{clip.Ghosts:F4}", clip.Ghosts <= MostGhosts));
        verdicts.Add(new AttributeVerdict(ClipAttribute.Blocks, $"at most {MostBlocks}", $"{clip.Blocks:F4}", clip.Blocks <= MostBlocks));
        return verdicts;

        void Add<T>(ClipAttribute attribute, T? expected, T? measured)
            where T : struct
        {
            if (expected is { } value)
            {
                verdicts.Add(new AttributeVerdict(attribute, $"{value}", measured is { } m ? $"{m}" : "none", value.Equals(measured)));
            }
        }
    }

    // Every way to give each expected object one that was found, or none.
    private IEnumerable<MeasuredObject?[]> Pairings(IReadOnlyList<MeasuredObject> found)
    {
        // More than four are wrong anyhow.
        var candidates = found.Take(4).Concat(Enumerable.Repeat<MeasuredObject?>(null, Objects.Count)).ToArray();
        return Choose([]);

        IEnumerable<MeasuredObject?[]> Choose(int[] chosen) => chosen.Length == Objects.Count
            ? [[.. chosen.Select(i => candidates[i])]]
            : Enumerable.Range(0, candidates.Length).Except(chosen).SelectMany(i => Choose([.. chosen, i]));
    }
}
