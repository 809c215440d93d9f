using System.Globalization;
using System.Text.RegularExpressions;

namespace NablaGen.Tests.Files;

/// <summary>What may have happened to a file on its way.</summary>
internal static partial class Damage
{
    private static readonly string[] Numbers =
        ["-1", "0", "1", "2147483647", "2147483648", "9223372036854775807", "-9223372036854775808", "1e308", "1e999", "0.5", "00", "NaN"];

    private static readonly string[] Texts =
        ["", "\\u001b[2J\\u001b]0;x\\u0007", "\\u0000", "\\ud800", "\\u202e", "../../etc/passwd", "a\\nb", new string('x', 3000), "nabla-0.7", "nabla-/etc/passwd", "dense", "🙂"];

    private static readonly string[] Values = ["null", "true", "[]", "{}", "[null]", "\"7\"", "[[]]", "-0.0", "[1,2,3,4,5,6,7,8,9]"];

    /// <summary>A text with one fault: another number, text or value, a part that is gone or twice, deep brackets, a strange letter.</summary>
    public static string Of(string text, Random random)
    {
        string Replaced(Regex what, string[] by)
        {
            var found = what.Matches(text);
            if (found.Count == 0)
            {
                return text + by[random.Next(by.Length)];
            }

            var one = found[random.Next(found.Count)];
            return text[..one.Index] + by[random.Next(by.Length)] + text[(one.Index + one.Length)..];
        }

        var (from, to) = (random.Next(text.Length + 1), random.Next(text.Length + 1));
        (from, to) = (Math.Min(from, to), Math.Max(from, to));
        return random.Next(8) switch
        {
            0 => Replaced(Number(), Numbers),
            1 => Replaced(Inside(), Texts),
            2 => Replaced(Value(), Values),
            3 => text[..from] + text[to..],
            4 => text[..to] + text[from..],
            5 => text.Insert(from, string.Concat(Enumerable.Repeat(random.Next(2) == 0 ? "[" : "{\"a\":", random.Next(1, 3000)))),
            6 => text.Insert(from, ((char)random.Next(1, 0x3000)).ToString(CultureInfo.InvariantCulture)),
            _ => Replaced(Number(), Values),
        };
    }

    /// <summary>A file with one fault: cut, a length of another size, a part that is gone or twice, some bytes changed.</summary>
    public static byte[] Of(byte[] whole, Random random)
    {
        var bytes = whole.ToArray();
        switch (random.Next(4))
        {
            case 0:
                return bytes[..random.Next(bytes.Length)];
            case 1:
                var at = random.Next(Math.Max(1, bytes.Length - 4));
                BitConverter.GetBytes(((uint[])[0, 1, 0x7fffffff, 0xffffffff, 0x00010000, 0x40000000])[random.Next(6)]).AsSpan(0, Math.Min(4, bytes.Length - at)).CopyTo(bytes.AsSpan(at));
                return bytes;
            case 2:
                return [.. bytes[..random.Next(bytes.Length)], .. bytes[random.Next(bytes.Length)..]];
            default:
                for (var i = random.Next(1, 8); i > 0; i--)
                {
                    bytes[random.Next(random.Next(2) == 0 ? Math.Min(64, bytes.Length) : bytes.Length)] = (byte)random.Next(256);
                }

                return bytes;
        }
    }

    [GeneratedRegex(@"(?<![\w.""-])-?\d+(\.\d+)?(e-?\d+)?")]
    private static partial Regex Number();

    [GeneratedRegex(@"(?<="")[^""\\]+(?="")")]
    private static partial Regex Inside();

    [GeneratedRegex(@"(?<=: ?)(""[^""\\]*""|-?[\d.e-]+|true|false|null|\[[^\[\]{}]*\])")]
    private static partial Regex Value();
}
