using System.CommandLine;
using System.Globalization;

namespace NablaGen.Cli.Commands.Bench;

/// <summary>What the bench commands share.</summary>
internal static class BenchOptions
{
    public static Option<int> Repeats(int repeats) => new("--repeats")
    {
        Description = "Timed passes; the median counts",
        HelpName = "N",
        DefaultValueFactory = _ => repeats,
    };

    public static Option<bool> Json() => new("--json") { Description = "Print JSON" };

    /// <summary>The numbers of a text such as 81x720x1280; one that is no positive number is 0.</summary>
    public static int[] Sides(string text)
    {
        var sides = text.Split('x').Select(side => int.TryParse(side, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : 0).ToArray();
        return sides.All(side => side > 0) ? sides : [];
    }

    public static int Positive(int value, string name) =>
        value >= 1 ? value : throw new InvalidRequestException($"{name} must be 1 or more, found {value}");
}
