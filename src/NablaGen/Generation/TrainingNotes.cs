using System.Globalization;
using System.Text.RegularExpressions;
using NablaGen.Files;
using NablaGen.Models;

namespace NablaGen.Generation;

/// <summary>What is said of a request that asks a model for what it was not trained for.</summary>
internal static partial class TrainingNotes
{
    // An area is met where the video has at most this many times more or fewer pixels.
    private const double AreaSlack = 1.35;
    private const int MostUnknown = 5, MostKnown = 6;

    // Words of English sentences that name nothing: to say that they are not known would hide those that are missed.
    private static readonly HashSet<string> Filler = new(
        ("am are as be been being could for had has have here he her his i into it it's its itself just let's like made make making my one onto our out "
            + "please scene showing shows she so some such than that that's their them then there there's these they those through very was were which who will with you your").Split(' '),
        StringComparer.Ordinal);

    private static readonly char[] Digits = [.. "0123456789"];

    /// <summary>The notes on a request, a line each.</summary>
    public static IEnumerable<string> Of(GenerationRequest request, VideoModel model)
    {
        if (model.TrainedFor is not { } trained)
        {
            yield break;
        }

        if (Words(request.Prompt, trained) is { } words)
        {
            yield return $"{model.Name} does not know {words}";
        }

        if (Size(request.Width, request.Height, trained) is { } sizes)
        {
            yield return $"{model.Name} was not trained for {request.Width}x{request.Height}: expect a worse video; {sizes}";
        }

        if (trained.Frames is var (fewest, most) && (request.Frames < fewest || request.Frames > most) && !(trained.Stills && request.Frames == 1))
        {
            yield return $"{model.Name} was not trained for {request.Frames} frame{(request.Frames == 1 ? "" : "s")}: expect a worse video; use "
                + (fewest == most ? $"{most}" : $"{fewest} to {most}") + (trained.Stills && fewest > 1 ? ", or 1" : "");
        }

        if (request.Attention.Threshold is { } threshold && threshold < trained.SafeThreshold)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture, $"{model.Name} loses quality below threshold {trained.SafeThreshold}, found {threshold}: lower is sparser and faster");
        }
    }

    private static string? Words(string prompt, TrainedFor trained)
    {
        if (trained.Words.Count == 0)
        {
            return null;
        }

        var known = trained.Words.ToHashSet(StringComparer.Ordinal);
        var unknown = Word().Matches(prompt.ToLowerInvariant()).Select(match => match.Value)
            // Of "blue-green" the parts are known.
            .Where(word => !IsKnown(word) && !word.Split('-').All(IsKnown))
            .Distinct(StringComparer.Ordinal).ToList();
        return unknown.Count == 0
            ? null
            : $"{string.Join(", ", unknown.Take(MostUnknown).Select(Line.Key))}{Line.More(Math.Max(0, unknown.Count - MostUnknown))}; it knows "
                + string.Join(", ", trained.Words.Take(MostKnown)) + (trained.Words.Count > MostKnown ? ", …" : "");

        // "ball's", "meadows" and "4k" are as good as "ball", "meadow" and "k".
        bool IsKnown(string word) => known.Contains(word) || Filler.Contains(word) || (word.Length > 3 && Ending().Replace(word, "") is var stem && known.Contains(stem))
            || (word.Trim(Digits) is { Length: > 0 } letters && letters.Length < word.Length && known.Contains(letters));
    }

    // What to use instead; null where the size is one of those.
    private static string? Size(int width, int height, TrainedFor trained)
    {
        if (trained.Sizes.Count > 0)
        {
            return trained.Sizes.Contains((width, height)) ? null : $"use {string.Join(", ", trained.Sizes.Select(size => $"{size.Width}x{size.Height}"))}";
        }

        double area = (double)width * height;
        return trained.Areas.Count == 0 || trained.Areas.Any(size => Ratio(area, (double)size.Width * size.Height) <= AreaSlack)
            ? null
            : $"use about as many pixels as {string.Join(" or ", trained.Areas.Select(size => $"{size.Width}x{size.Height}"))}";
    }

    private static double Ratio(double one, double other) => Math.Max(one / other, other / one);

    // Words, numbers, and pictures in the text, of which each is one: ⚽ (So), 🐈 (a pair of Cs).
    [GeneratedRegex(@"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:['’-][\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*|\p{Cs}{2}|\p{So}", RegexOptions.CultureInvariant)]
    private static partial Regex Word();

    [GeneratedRegex("(?:['’]s|s)$", RegexOptions.CultureInvariant)]
    private static partial Regex Ending();
}
