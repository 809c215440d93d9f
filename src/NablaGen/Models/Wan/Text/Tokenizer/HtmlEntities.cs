using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace NablaGen.Models.Wan.Text.Tokenizer;

/// <summary>
/// HTML 5 character references, all 2,231 names of them (WebUtility.HtmlDecode knows HTML 4's 253, and only with a semicolon).
/// </summary>
internal static partial class HtmlEntities
{
    private static readonly Dictionary<string, string> Names = [];
    private static readonly Dictionary<string, string> CapitalNames = [];

    static HtmlEntities()
    {
        foreach (string[] row in EmbeddedTable.Rows("html5-entities.txt"))
        {
            string name = row[0] + ';';
            Names[name] = Characters(row[1]);
            foreach (string mark in row[2..])
            {
                if (mark == "*")
                {
                    Names[row[0]] = Characters(row[1]);
                }
                else
                {
                    CapitalNames[name.ToUpperInvariant()] = Characters(mark[1..]);
                }
            }
        }

        static string Characters(string codes) =>
            string.Concat(codes.Split('+').Select(code => char.ConvertFromUtf32(int.Parse(code, NumberStyles.HexNumber, CultureInfo.InvariantCulture))));
    }

    /// <summary>
    /// Decodes references by HTML's lenient rules: "&amp;notit" begins with ¬, "&amp;#128" is €. Same as Python's
    /// <c>html.unescape</c>.
    /// </summary>
    public static string Unescape(string text) => Reference().Replace(text, match => Decode(match.Value[1..]));

    /// <summary>
    /// Decodes only what can be nothing else: references that end in a semicolon, and names in capitals (&amp;EACUTE;).
    /// Port of <c>unescape_html</c>, ftfy/fixes.py.
    /// </summary>
    public static string UnescapeUnambiguous(string text) => UnambiguousReference().Replace(text, match =>
    {
        string body = match.Value[1..];
        if (body[0] == '#')
        {
            string decoded = Unescape(match.Value);
            return decoded.Contains(';') ? match.Value : decoded;
        }

        return Names.GetValueOrDefault(body) ?? CapitalNames.GetValueOrDefault(body) ?? match.Value;
    });

    // body: what follows the '&', the semicolon (if any) included.
    private static string Decode(string body)
    {
        if (body[0] == '#')
        {
            return DecodeNumber(body[1..].TrimEnd(';'));
        }

        // The longest known name that the text begins with; a single letter is not a name.
        for (int length = body.Length; length > 1; length--)
        {
            if (Names.TryGetValue(body[..length], out string? characters))
            {
                return characters + body[length..];
            }
        }

        return '&' + body;
    }

    private static string DecodeNumber(string digits)
    {
        int numberBase = 10;
        if (digits[0] is 'x' or 'X')
        {
            digits = digits[1..];
            numberBase = 16;
        }

        int code = 0;
        foreach (char digit in digits)
        {
            // All numbers beyond Unicode are treated alike.
            code = Math.Min((code * numberBase) + Convert.ToInt32(digit.ToString(), 16), 0x110000);
        }

        return code switch
        {
            0 or (>= 0xD800 and <= 0xDFFF) or > 0x10FFFF => "\uFFFD",
            0x0D => "\r",
            >= 0x80 and <= 0x9F => TextRepair.Windows1252[code - 0x80].ToString(),
            < 0x09 or 0x0B or (>= 0x0E and <= 0x1F) or 0x7F or (>= 0xFDD0 and <= 0xFDEF) => "",
            _ when (code & 0xFFFE) == 0xFFFE => "",
            _ => new Rune(code).ToString(),
        };
    }

    [GeneratedRegex(@"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")]
    private static partial Regex Reference();

    [GeneratedRegex("&#?[0-9A-Za-z]{1,24};")]
    private static partial Regex UnambiguousReference();
}
