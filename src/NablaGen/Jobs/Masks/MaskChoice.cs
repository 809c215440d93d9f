using System.Globalization;
using NablaGen.Files;

namespace NablaGen.Jobs.Masks;

/// <summary>Which masks of a run somebody wants to see, counted from 0 as in <c>--stats</c>; null for all that are sparse.</summary>
/// <param name="Steps">Solver steps.</param>
/// <param name="Layers">Layers of the transformer.</param>
/// <param name="Heads">Heads of each layer.</param>
public sealed record MaskChoice(IReadOnlyList<int>? Steps = null, IReadOnlyList<int>? Layers = null, IReadOnlyList<int>? Heads = null)
{
    private const int MostNumbers = 10_000;

    /// <summary>Reads numbers and ranges between commas: <c>0,4,8-11</c>.</summary>
    /// <param name="option">The option's name, for messages.</param>
    /// <param name="text">The text; null for nothing said.</param>
    /// <returns>Ascending, each once; null where nothing is said.</returns>
    /// <exception cref="InvalidRequestException">It is no such list.</exception>
    public static IReadOnlyList<int>? Parse(string option, string? text)
    {
        if (text is null)
        {
            return null;
        }

        var numbers = new SortedSet<int>();
        foreach (var part in text.Split(','))
        {
            var ends = part.Split('-');
            var (from, to) = (Number(ends[0]), Number(ends[^1]));
            if (ends.Length > 2 || from is null || to is null || from > to || to - from >= MostNumbers)
            {
                throw new InvalidRequestException($"{option} '{Line.Of(text)}': expected numbers from 0 and ranges, such as 0,4,8-11");
            }

            numbers.UnionWith(Enumerable.Range(from.Value, to.Value - from.Value + 1));
        }

        return [.. numbers];
    }

    private static int? Number(string text) =>
        int.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
