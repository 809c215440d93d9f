using System.Globalization;
using System.Text;
using NablaGen.Models.Wan.Text.Tokenizer;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// Names of a batch's files: number, prompt, seed, as in <c>0007-a-red-ball-s42</c>. Letters and digits of any script stay, everything
/// else becomes a hyphen, so that the name is good on Windows too: it begins with a digit (so it is no CON or NUL), ends with one, and is short.
/// </summary>
public static class RowName
{
    private const int MostRunes = 40;
    private const int MostBytes = 120;

    /// <summary>The name of a row's files, without an ending.</summary>
    public static string Of(int number, string prompt, long seed)
    {
        var slug = Slug(prompt);
        return $"{number:0000}-{slug}{(slug.Length == 0 ? "" : "-")}s{seed}";
    }

    // Whole words as long as they fit; a first word that does not is cut.
    private static string Slug(string prompt)
    {
        var slug = new StringBuilder();
        foreach (var word in Words(Nfc.Normalize(prompt)))
        {
            var longer = slug.Length == 0 ? word : $"{slug}-{word}";
            if (Fits(longer))
            {
                slug.Clear().Append(longer);
                continue;
            }

            if (slug.Length == 0)
            {
                AppendCut(slug, word);
            }

            break;
        }

        return slug.ToString();
    }

    private static IEnumerable<string> Words(string text)
    {
        var word = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            // Marks belong to the letters of many scripts.
            var isMark = Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark;
            if (Rune.IsLetterOrDigit(rune) || (isMark && word.Length > 0))
            {
                word.Append(Rune.ToLowerInvariant(rune).ToString());
            }
            else if (word.Length > 0)
            {
                yield return word.ToString();
                word.Clear();
            }
        }

        if (word.Length > 0)
        {
            yield return word.ToString();
        }
    }

    private static void AppendCut(StringBuilder slug, string word)
    {
        foreach (var rune in word.EnumerateRunes())
        {
            if (!Fits($"{slug}{rune}"))
            {
                break;
            }

            slug.Append(rune.ToString());
        }
    }

    // File systems count bytes (255 on Linux) or UTF-16 units, and people read letters.
    private static bool Fits(string slug) => slug.EnumerateRunes().Count() <= MostRunes && Encoding.UTF8.GetByteCount(slug) <= MostBytes;
}
