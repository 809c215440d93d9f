using System.Globalization;
using System.Text.RegularExpressions;

namespace NablaGen.Memory;

/// <summary>Amounts of memory as people write them.</summary>
public static partial class ByteSize
{
    private const double Gibi = 1L << 30;

    /// <summary>Reads "8GB", "7.5GiB", "6000MiB" or "700 MB": units of 1,000 (GB, MB) and of 1,024 (GiB, MiB), in any case.</summary>
    /// <exception cref="InvalidRequestException">It is something else, or not above 0.</exception>
    public static long Parse(string text)
    {
        var match = Pattern().Match(text);
        var bytes = 0.0;
        if (match.Success && double.TryParse(match.Groups["number"].Value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
        {
            bytes = number * match.Groups["unit"].Value.ToUpperInvariant() switch
            {
                "GIB" => Gibi,
                "GB" => 1e9,
                "MIB" => 1L << 20,
                _ => 1e6,
            };
        }

        return bytes is >= 1 and < long.MaxValue
            ? (long)bytes
            : throw new InvalidRequestException($"'{text}' is not an amount of memory: expected a number and its unit, such as 8GB, 7.5GiB or 6000MiB");
    }

    /// <summary>As in "7.5 GiB", or "0.1 GiB" for less.</summary>
    public static string Text(long bytes) => $"{GiB(bytes):0.0} GiB";

    /// <summary>As an option takes it, no smaller than it is: "7.5GiB".</summary>
    public static string Option(long bytes) => $"{Math.Ceiling(GiB(bytes) * 10) / 10:0.0}GiB";

    private static double GiB(long bytes) => bytes / Gibi;

    [GeneratedRegex(@"^(?<number>\d+(\.\d+)?)\s*(?<unit>[GM]i?B)$", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
