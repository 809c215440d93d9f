using System.Globalization;
using System.Text;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// A file's bytes as text: UTF-8, or UTF-16 with its mark, and nothing that is both. Older PowerShells write UTF-16, and their <c>&gt;&gt;</c>
/// appends it to whatever is there; newer ones append UTF-8 to a file in UTF-16.
/// </summary>
internal static class PromptText
{
    // So many characters that read as words of bytes, too, with blanks among them, are no accident in any script.
    private const int MixedRun = 8;
    private const string Remedy = "save the whole file as UTF-8";

    /// <summary>Decodes a file.</summary>
    /// <param name="bytes">Its contents.</param>
    /// <param name="name">Its name, for the message.</param>
    /// <exception cref="NablaGenException">It is no text, or in two encodings.</exception>
    public static string Decode(byte[] bytes, string name)
    {
        if (bytes is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..])
        {
            return DecodeUtf16(bytes, name);
        }

        var start = bytes.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0;
        if (bytes.AsSpan().IndexOf((byte)0) is >= 0 and var zero)
        {
            throw new NablaGenException($"{Where(bytes, zero, name)}: has a byte of 0: text in UTF-16 without its mark, or appended to a file in UTF-8 "
                + $"(as >> does in older PowerShells): {Remedy}");
        }

        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes.AsSpan(start));
        }
        catch (DecoderFallbackException error)
        {
            throw new NablaGenException($"{Where(bytes, start + Math.Max(error.Index, 0), name)}: is not text in UTF-8", error);
        }
    }

    private static string DecodeUtf16(byte[] bytes, string name)
    {
        var bigEndian = bytes[0] == 0xFE;
        try
        {
            var text = new UnicodeEncoding(bigEndian, byteOrderMark: false, throwOnInvalidBytes: true).GetString(bytes.AsSpan(2));
            return !IsMixed(text) ? text : throw new NablaGenException($"{name}: is in UTF-16 and has text in UTF-8 in it, appended by another program: {Remedy}");
        }
        catch (ArgumentException error)
        {
            // DecoderFallbackException is one.
            throw new NablaGenException($"{name}: begins as UTF-16 and goes on otherwise: {Remedy}", error);
        }
    }

    // Text in UTF-8 read by two bytes: a line's end becomes a character that there is not, words become Han characters of letters' numbers.
    private static bool IsMixed(string text)
    {
        var (run, blanks) = (0, false);
        foreach (var c in text)
        {
            if (c == '\0' || (c is '\u0A0D' or '\u0D0A' && char.GetUnicodeCategory(c) == UnicodeCategory.OtherNotAssigned))
            {
                return true;
            }

            var (high, low) = ((char)(c >> 8), (char)(c & 0xFF));
            run = IsOfWords(high) && IsOfWords(low) ? run + 1 : 0;
            blanks = run > 0 && (blanks || high == ' ' || low == ' ');
            if (run >= MixedRun && blanks)
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsOfWords(char c) => char.IsAsciiLetterOrDigit(c) || c is ' ' or ',' or '.' or '\'' or '-' or '\r' or '\n';

    private static string Where(byte[] bytes, int at, string name) =>
        $"{name}:{bytes.AsSpan(0, Math.Min(bytes.Length, at)).Count((byte)'\n') + 1}";
}
