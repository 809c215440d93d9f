using System.Text.RegularExpressions;

namespace NablaGen.Training.World;

/// <summary>The words that a model of this world knows: for the <c>trained_for</c> of its <c>nablagen.json</c>.</summary>
public static partial class WorldWords
{
    // In so many captions a word of the templates comes so often, as "we" and "both"; an invented one comes once or twice.
    private const int Captions = 20_000, Often = 12;

    /// <summary>Every word of the world's captions in lower case, without those for what is not in it: first the shapes, then the others by letter.</summary>
    public static IReadOnlyList<string> All()
    {
        var shapes = Enum.GetValues<ShapeKind>().Select(shape => Vocabulary.Of(shape)[0]).ToList();
        var strange = Vocabulary.Strangers.Concat(Vocabulary.StrangePlaces).Concat(Vocabulary.StrangeVerbs.SelectMany(verb => new[] { verb.One, verb.Doing, verb.Many }))
            .SelectMany(Words).ToHashSet(StringComparer.Ordinal);
        var own = Own().SelectMany(Words).ToHashSet(StringComparer.Ordinal);
        strange.ExceptWith(own);
        using var world = new ShapeWorld(WorldSplit.All);
        return
        [
            .. shapes,
            .. Enumerable.Range(0, Captions).SelectMany(i => Words(world.CaptionAt(i))).CountBy(word => word, StringComparer.Ordinal)
                .Where(word => (word.Value >= Often || IsOwn(word.Key)) && !strange.Contains(word.Key) && !shapes.Contains(word.Key))
                .Select(word => word.Key).Order(StringComparer.Ordinal),
        ];

        // Boxes and balls, too.
        bool IsOwn(string word) => own.Contains(word) || (word.EndsWith("es", StringComparison.Ordinal) && own.Contains(word[..^2]))
            || (word.EndsWith('s') && own.Contains(word[..^1]));
    }

    private static IEnumerable<string> Own() =>
    [
        "a an and at by in is on of the to with",
        .. Enum.GetValues<ShapeKind>().SelectMany(Vocabulary.Of), .. Enum.GetValues<ObjectColour>().SelectMany(Vocabulary.Of),
        .. Enum.GetValues<ObjectSize>().SelectMany(Vocabulary.Of), .. Enum.GetValues<Place>().SelectMany(Vocabulary.Of),
        .. Enum.GetValues<Arrangement>().SelectMany(Vocabulary.Of), .. Enum.GetValues<Backdrop>().SelectMany(Vocabulary.Of).Select(place => $"{place.Before} {place.Name}"),
        .. Enum.GetValues<MotionKind>().SelectMany(Vocabulary.Of).Concat(Vocabulary.Sideways).SelectMany(verb => new[] { verb.One, verb.Doing, verb.Many }),
        .. Vocabulary.AnyShape, .. Vocabulary.Fillers, .. Vocabulary.Openings,
    ];

    private static IEnumerable<string> Words(string text) => Word().Matches(text.ToLowerInvariant()).Select(match => match.Value);

    [GeneratedRegex(@"\p{L}+(?:['’-]\p{L}+)*", RegexOptions.CultureInvariant)]
    private static partial Regex Word();
}
