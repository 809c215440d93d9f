using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>
/// The prompts that a model is measured by, always the same: 56 whose combinations of colour, shape and motion training shows and 28 whose it
/// never does. Every value of every attribute is asked for; a quarter or so have two objects.
/// </summary>
public static class EvaluationSuite
{
    private const int SeenSingles = 42, SeenPairs = 14, HeldOutSingles = 20, HeldOutPairs = 8;

    private static readonly MotionKind[] Beside = [MotionKind.Bounce, MotionKind.Spin, MotionKind.Rise, MotionKind.Still, MotionKind.Fall];
    private static readonly MotionKind[] Stacked = [MotionKind.Right, MotionKind.Still, MotionKind.Left, MotionKind.Spin];

    /// <summary>Prompts whose combinations training shows.</summary>
    public static IReadOnlyList<EvaluationPrompt> Seen { get; } =
        [.. Enumerable.Range(0, SeenSingles).Select(i => Single(i, false)), .. Enumerable.Range(0, SeenPairs).Select(i => Pair(i, false))];

    /// <summary>Prompts whose combinations training never shows.</summary>
    public static IReadOnlyList<EvaluationPrompt> HeldOut { get; } =
        [.. Enumerable.Range(0, HeldOutSingles).Select(i => Single(i, true)), .. Enumerable.Range(0, HeldOutPairs).Select(i => Pair(i, true))];

    /// <summary>All of them.</summary>
    public static IReadOnlyList<EvaluationPrompt> All { get; } = [.. Seen, .. HeldOut];

    /// <summary>A prompt's number in <see cref="All"/>, from 1; one more than there are for another text.</summary>
    public static int NumberOf(string text) => All.TakeWhile(prompt => prompt.Text != text).Count() + 1;

    private static EvaluationPrompt Single(int i, bool heldOut)
    {
        var motion = (MotionKind)(i % 10);
        var shape = (ShapeKind)((i + (3 * (i / 10))) % 6);
        bool stays = motion is MotionKind.Still or MotionKind.Spin;
        ObjectSize? size = i % 3 == 0 && motion is not (MotionKind.Grow or MotionKind.Shrink) ? (ObjectSize)(i / 3 % 3) : null;
        Place? place = stays ? (Place)(((i / 10) + (motion == MotionKind.Still ? 3 : 0)) % 5) : null;
        Backdrop? backdrop = i % 3 != 1 ? (Backdrop)(((i * 5) + (i / 8)) % 8) : null;
        var o = new ObjectExpectation(Colour(5 * i, shape, motion, heldOut), shape, size, motion, place);
        string verb = Vocabulary.Of(motion)[0] is var v && i % 2 == 0 ? v.One : v.Doing;
        string text = $"{Name(o)} {verb}{(place is { } p ? " " + Vocabulary.Of(p)[0] : "")}{Where(backdrop)}";
        return new EvaluationPrompt(text, new Expectation([o], 1, null, backdrop), heldOut);
    }

    private static EvaluationPrompt Pair(int i, bool heldOut)
    {
        var arrangement = (Arrangement)(i % 4);
        var motions = arrangement is Arrangement.LeftOf or Arrangement.RightOf ? Beside : Stacked;
        var (first, second) = (motions[i % motions.Length], motions[(i + (i / 2)) % motions.Length]);
        var (a, b) = ((ShapeKind)((i + 1) % 6), (ShapeKind)((i + 3 + (i / 6)) % 6));
        var one = new ObjectExpectation(Colour(3 * i, a, first, heldOut), a, Motion: first);
        var colour = Colour((3 * i) + 4, b, second, heldOut);
        var two = new ObjectExpectation(colour, b, Motion: second);
        Backdrop? backdrop = i % 2 == 0 ? (Backdrop)(i * 3 / 2 % 8) : null;
        string text = $"{Name(one)} {Vocabulary.Of(first)[0].Doing} {Vocabulary.Of(arrangement)[0]} {Name(two)} {Vocabulary.Of(second)[0].Doing}{Where(backdrop)}";
        return new EvaluationPrompt(text, new Expectation([one, two], 2, arrangement, backdrop), heldOut);
    }

    // The first colour from there on that makes a combination of that kind.
    private static ObjectColour Colour(int from, ShapeKind shape, MotionKind motion, bool heldOut) =>
        Enumerable.Range(from, 8).Select(c => (ObjectColour)(c % 8)).First(c => HeldOutRule.IsHeldOut(c, shape, motion) == heldOut);

    private static string Name(ObjectExpectation o)
    {
        string words = $"{(o.Size is { } size ? Vocabulary.Of(size)[0] + " " : "")}{Vocabulary.Of(o.Colour!.Value)[0]} {Vocabulary.Of(o.Shape!.Value)[0]}";
        return (words[0] is 'o' ? "an " : "a ") + words;
    }

    private static string Where(Backdrop? backdrop) => backdrop is { } b && Vocabulary.Of(b)[0] is var (before, name) ? $" {before} {name}" : "";
}
