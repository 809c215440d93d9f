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
        }

        Add(ClipAttribute.Arrangement, Arrangement,
            found is [{ } first, { } second, ..] ? ClipScorer.ArrangementOf(first, second) : (Arrangement?)null);
        Add(ClipAttribute.Backdrop, Backdrop, clip.Backdrop);
        verdicts.Add(new AttributeVerdict(ClipAttribute.Flicker, $"at most {MostFlicker}", $"{clip.Flicker:F4}", clip.Flicker <= MostFlicker));
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
