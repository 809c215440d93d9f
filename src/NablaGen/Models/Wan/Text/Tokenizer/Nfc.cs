using System.Globalization;
using System.Text;

namespace NablaGen.Models.Wan.Text.Tokenizer;

/// <summary>
/// Unicode normalization form C (UAX #15): é from e and a combining acute. <see cref="string.Normalize()"/> returns its input
/// untouched when the program runs without ICU (InvariantGlobalization), so the rules and the data (Unicode 15.1) are here.
/// </summary>
internal static class Nfc
{
    private const int HangulS = 0xAC00, HangulL = 0x1100, HangulV = 0x1161, HangulT = 0x11A7;
    private const int HangulLCount = 19, HangulVCount = 21, HangulTCount = 28, HangulSCount = HangulLCount * HangulVCount * HangulTCount;

    private static readonly Dictionary<int, int> CombiningClasses = [];
    private static readonly Dictionary<int, int[]> Decompositions = [];
    private static readonly Dictionary<(int First, int Second), int> Compositions = [];

    static Nfc()
    {
        foreach (string[] row in EmbeddedTable.Rows("unicode-nfc.txt"))
        {
            if (row[0] == "ccc")
            {
                foreach (string range in row[2..])
                {
                    string[] ends = range.Split('-');
                    for (int code = Hex(ends[0]); code <= Hex(ends[^1]); code++)
                    {
                        CombiningClasses[code] = int.Parse(row[1], CultureInfo.InvariantCulture);
                    }
                }

                continue;
            }

            bool composes = row[^1] != "!";
            int[] parts = [.. row[1..(composes ? row.Length : ^1)].Select(Hex)];
            Decompositions[Hex(row[0])] = parts;
            if (composes)
            {
                Compositions[(parts[0], parts[1])] = Hex(row[0]);
            }
        }

        static int Hex(string code) => int.Parse(code, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    /// <summary>The text in form C. A lone surrogate becomes U+FFFD.</summary>
    public static string Normalize(string text)
    {
        // Below the first combining mark everything is composed already.
        if (!text.AsSpan().ContainsAnyExceptInRange('\0', '\u02FF'))
        {
            return text;
        }

        var codes = new List<int>(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            Decompose(rune.Value, codes);
        }

        SortMarks(codes);
        var result = new StringBuilder(text.Length);
        foreach (int code in Compose(codes))
        {
            result.Append(new Rune(code).ToString());
        }

        return result.ToString();
    }

    private static void Decompose(int code, List<int> codes)
    {
        int syllable = code - HangulS;
        if (syllable is >= 0 and < HangulSCount)
        {
            codes.Add(HangulL + (syllable / (HangulVCount * HangulTCount)));
            codes.Add(HangulV + (syllable / HangulTCount % HangulVCount));
            if (syllable % HangulTCount != 0)
            {
                codes.Add(HangulT + (syllable % HangulTCount));
            }
        }
        else if (Decompositions.TryGetValue(code, out int[]? parts))
        {
            foreach (int part in parts)
            {
                Decompose(part, codes);
            }
        }
        else
        {
            codes.Add(code);
        }
    }

    // Canonical order: the marks after a base character by combining class, equal classes as they came.
    private static void SortMarks(List<int> codes)
    {
        for (int start = 0; start < codes.Count;)
        {
            int end = start;
            bool sorted = true;
            for (; end < codes.Count && ClassOf(codes[end]) != 0; end++)
            {
                sorted &= end == start || ClassOf(codes[end - 1]) <= ClassOf(codes[end]);
            }

            if (!sorted)
            {
                // OrderBy is stable, and thousands of marks on one letter take it no longer than they have to.
                int[] marks = [.. codes.Skip(start).Take(end - start).OrderBy(ClassOf)];
                for (int i = 0; i < marks.Length; i++)
                {
                    codes[start + i] = marks[i];
                }
            }

            start = end + 1;
        }
    }

    private static List<int> Compose(List<int> codes)
    {
        var result = new List<int>(codes.Count);
        int starter = -1;
        int lastClass = 0;
        foreach (int code in codes)
        {
            int order = ClassOf(code);
            // A mark of the same or a higher class in between keeps a character from its starter.
            bool free = starter == result.Count - 1 || lastClass < order;
            if (starter >= 0 && free && TryCompose(result[starter], code, out int composed))
            {
                result[starter] = composed;
                continue;
            }

            if (order == 0)
            {
                starter = result.Count;
            }

            lastClass = order;
            result.Add(code);
        }

        return result;
    }

    private static bool TryCompose(int first, int second, out int composed)
    {
        int l = first - HangulL, v = second - HangulV;
        if (l is >= 0 and < HangulLCount && v is >= 0 and < HangulVCount)
        {
            composed = HangulS + (((l * HangulVCount) + v) * HangulTCount);
            return true;
        }

        int s = first - HangulS, t = second - HangulT;
        if (s is >= 0 and < HangulSCount && s % HangulTCount == 0 && t is > 0 and < HangulTCount)
        {
            composed = first + t;
            return true;
        }

        return Compositions.TryGetValue((first, second), out composed);
    }

    private static int ClassOf(int code) => CombiningClasses.GetValueOrDefault(code);
}
