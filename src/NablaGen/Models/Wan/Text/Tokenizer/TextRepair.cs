using System.Text;
using System.Text.RegularExpressions;

namespace NablaGen.Models.Wan.Text.Tokenizer;

/// <summary>
/// The repairs of ftfy 6.3's <c>fix_text</c> with its default settings, in its order, without the guess at mojibake.
/// Port of <c>fix_text</c>, ftfy/__init__.py, and of ftfy/fixes.py.
/// </summary>
internal static partial class TextRepair
{
    /// <summary>What Windows-1252 has where Latin-1 has the C1 controls, U+0080…U+009F; five stay controls.</summary>
    public const string Windows1252 =
        "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008DŽ\u008F\u0090‘’“”•–—˜™š›œ\u009DžŸ";

    private const int MostPasses = 64;

    // U+FF5F…U+FFEE in their usual width; what is unassigned stands for itself.
    private const string UsualWidth =
        "⦅⦆。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン\u3099\u309A" +
        "\u1160\u1100\u1101\u11AA\u1102\u11AC\u11AD\u1103\u1104\u1105\u11B0\u11B1\u11B2\u11B3\u11B4\u11B5\u111A\u1106\u1107\u1108" +
        "\u1121\u1109\u110A\u110B\u110C\u110D\u110E\u110F\u1110\u1111\u1112\uFFBF\uFFC0\uFFC1\u1161\u1162\u1163\u1164\u1165\u1166" +
        "\uFFC8\uFFC9\u1167\u1168\u1169\u116A\u116B\u116C\uFFD0\uFFD1\u116D\u116E\u116F\u1170\u1171\u1172\uFFD8\uFFD9\u1173\u1174" +
        "\u1175\uFFDD\uFFDE\uFFDF¢£¬\uFFE3¦¥₩\uFFE7│←↑→↓■○";

    /// <summary>The repaired text. Line by line, since a '&lt;' leaves HTML entities alone from its line on.</summary>
    public static string Fix(string text)
    {
        var result = new StringBuilder(text.Length);
        bool unescape = true;
        int start = 0;
        while (start < text.Length)
        {
            int end = text.IndexOf('\n', start) + 1;
            string line = end == 0 ? text[start..] : text[start..end];
            unescape = unescape && !line.Contains('<');
            result.Append(FixLine(line, unescape));
            start += line.Length;
        }

        return result.ToString();
    }

    // One repair can make room for another (&amp;amp;), so again until nothing changes.
    private static string FixLine(string line, bool unescape)
    {
        for (int pass = 0; ; pass++)
        {
            string before = line;
            line = unescape ? HtmlEntities.UnescapeUnambiguous(line) : line;
            line = Replace(line, FixC1Control);
            line = Replace(line, FixLatinLigature);
            line = Replace(line, FixWidth);
            line = Replace(line, UncurlQuote);
            line = line.Replace("\r\n", "\n").Replace('\r', '\n').Replace('\u2028', '\n').Replace('\u2029', '\n').Replace('\u0085', '\n');
            line = FixSurrogates(line);
            line = TerminalEscape().Replace(line, "");
            line = Replace(line, RemoveControl);
            line = Nfc.Normalize(line);
            // Each pass takes an "amp;" away from "&amp;amp;amp;…": nobody means so many, and a line of nothing else would take for ever.
            if (line == before || pass == MostPasses)
            {
                return line;
            }
        }
    }

    private static string? FixC1Control(char c) => c is >= '\u0080' and <= '\u009F' ? Windows1252[c - 0x80].ToString() : null;

    private static string? FixLatinLigature(char c) => c switch
    {
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        'ŉ' => "ʼn",
        'Ǳ' => "DZ",
        'ǲ' => "Dz",
        'ǳ' => "dz",
        'Ǆ' => "DŽ",
        'ǅ' => "Dž",
        'ǆ' => "dž",
        'Ǉ' => "LJ",
        'ǈ' => "Lj",
        'ǉ' => "lj",
        'Ǌ' => "NJ",
        'ǋ' => "Nj",
        'ǌ' => "nj",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' => "ſt",
        'ﬆ' => "st",
        _ => null,
    };

    private static string? FixWidth(char c) => c switch
    {
        '\u3000' => " ",
        '\uFFE3' => " \u0304",
        >= '\uFF01' and <= '\uFF5E' => ((char)(c - 0xFEE0)).ToString(),
        >= '\uFF5F' and <= '\uFFEE' => UsualWidth[c - 0xFF5F].ToString(),
        _ => null,
    };

    private static string? UncurlQuote(char c) => c switch
    {
        '\u02BC' or (>= '\u2018' and <= '\u201B') => "'",
        >= '\u201C' and <= '\u201F' => "\"",
        _ => null,
    };

    // Tab, line feed, form feed and carriage return stay: they are white space.
    private static string? RemoveControl(char c) => c switch
    {
        <= '\u0008' or '\u000B' or (>= '\u000E' and <= '\u001F') or '\u007F' => "",
        (>= '\u206A' and <= '\u206F') or '\uFEFF' or (>= '\uFFF9' and <= '\uFFFC') => "",
        _ => null,
    };

    private static string FixSurrogates(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            // EnumerateRunes gives U+FFFD for a lone surrogate.
            result.Append(rune.ToString());
        }

        return result.ToString();
    }

    // null = the character stays.
    private static string Replace(string text, Func<char, string?> replacement)
    {
        StringBuilder? result = null;
        for (int i = 0; i < text.Length; i++)
        {
            string? other = replacement(text[i]);
            if (other is not null)
            {
                result ??= new StringBuilder(text, 0, i, text.Length);
                result.Append(other);
            }
            else
            {
                result?.Append(text[i]);
            }
        }

        return result?.ToString() ?? text;
    }

    // Colours and cursor moves.
    [GeneratedRegex(@"\x1B\[[\d;]*[a-zA-Z]")]
    private static partial Regex TerminalEscape();
}
