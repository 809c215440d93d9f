using System.CommandLine;
using System.Globalization;
using NablaGen.Attention;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Vae;
using NablaGen.Training.Models;

namespace NablaGen.Cli.Commands.Bench;

/// <summary>What the bench commands share.</summary>
internal static class BenchOptions
{
    public static Option<int> Repeats(int repeats) => new("--repeats")
    {
        Description = "Timed passes; the median is reported",
        HelpName = "N",
        DefaultValueFactory = _ => repeats,
    };

    public static Option<string> Preset() => new("--preset")
    {
        Description = $"Sizes of the model: {Presets}; tiny is 256 wide and has 7 layers",
        HelpName = "NAME",
        DefaultValueFactory = _ => "1.3B",
        CompletionSources = { "1.3B", "14B", "I2V-14B", "A14B", "TI2V-5B", "tiny" },
    };

    private const string Presets = "1.3B, 14B, I2V-14B (with image tokens), A14B (told a picture; bench dit times one of its two experts), TI2V-5B or tiny";

    /// <summary>A model with the low-rank branch that rola-… is one part of: random weights have it if that is what is timed.</summary>
    /// <exception cref="InvalidRequestException">Other expressions are timed, too, which do not fit such a model.</exception>
    public static DitConfig WithLowRank(DitConfig config, IReadOnlyCollection<AttentionExpression> expressions)
    {
        var count = expressions.Count(expression => expression.RolaShare is not null);
        return count == 0 ? config : count == expressions.Count ? config with { LowRank = LowRankWeights.PublishedRank } : throw new InvalidRequestException(
            "--attention: rola-<share> is timed with a low-rank branch, and other expressions without one: time them in two calls");
    }

    /// <summary>What to time; read it with <see cref="SharedOptions.Values"/>.</summary>
    public static Option<string[]> Attention(params string[] expressions) => new("--attention")
    {
        Description = $"Expressions to time [default: {string.Join(' ', expressions)}]",
        HelpName = "EXPR",
        AllowMultipleArgumentsPerToken = true,
    };

    /// <summary>For <see cref="BenchReport"/>.</summary>
    public static Option<string?> Json() => new("--json")
    {
        Description = "Print JSON instead of the table, or print the table and write JSON to a file",
        HelpName = "FILE",
        Arity = ArgumentArity.ZeroOrOne,
    };

    /// <summary>The sizes that a <see cref="Preset"/> names.</summary>
    public static ModelSizes Sizes(string preset) => preset switch
    {
        "1.3B" => new ModelSizes(DitConfig.Wan1_3B, new()),
        "14B" => new ModelSizes(DitConfig.Wan14B, new()),
        "I2V-14B" => new ModelSizes(DitConfig.WanI2V14B, new() { Defaults = WanDefaults.Of(DitConfig.WanI2V14B, hasExperts: false, "") }),
        "A14B" => new ModelSizes(
            DitConfig.WanI2VA14B, new() { Boundary = WanDefaults.PictureBoundary, Defaults = WanDefaults.Of(DitConfig.WanI2VA14B, hasExperts: true, "") }),
        "TI2V-5B" => new ModelSizes(DitConfig.WanTI2V5B, new() { Vae = VaeConfig.Wan22, Defaults = WanDefaults.Of(DitConfig.WanTI2V5B, hasExperts: false, "") }),
        "tiny" => ModelSizes.Tiny,
        _ => throw new InvalidRequestException($"preset '{preset}' is not known: use {Presets}"),
    };

    /// <summary>The numbers of a text such as 81x720x1280; one that is no positive number is 0.</summary>
    public static int[] Sides(string text)
    {
        var sides = text.Split('x').Select(side => int.TryParse(side, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : 0).ToArray();
        return sides.All(side => side > 0) ? sides : [];
    }

    public static int Positive(int value, string name) =>
        value >= 1 ? value : throw new InvalidRequestException($"{name} must be 1 or more, found {value}");
}
