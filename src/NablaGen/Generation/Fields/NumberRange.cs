using System.Globalization;

namespace NablaGen.Generation.Fields;

/// <summary>The numbers that a field may have, and the words for them.</summary>
public sealed class NumberRange
{
    private readonly Func<double, bool> _holds;
    private readonly string _words;

    private NumberRange(Func<double, bool> holds, string words) => (_holds, _words) = (holds, words);

    /// <summary>Both ends included.</summary>
    public static NumberRange FromTo(long least, long most, string why = "") => new(
        value => value >= least && value <= most, string.Create(CultureInfo.InvariantCulture, $"from {least} to {most}{(why.Length == 0 ? "" : ", " + why)}"));

    /// <summary>Finite and not below a number.</summary>
    public static NumberRange AtLeast(double least) => new(value => value >= least, string.Create(CultureInfo.InvariantCulture, $"{least} or more"));

    /// <summary>Finite and above a number.</summary>
    public static NumberRange Above(double bound) => new(value => value > bound, string.Create(CultureInfo.InvariantCulture, $"above {bound}"));

    /// <summary>Between two numbers, neither included.</summary>
    public static NumberRange Between(double low, double high) => new(
        value => value > low && value < high, string.Create(CultureInfo.InvariantCulture, $"above {low} and below {high}"));

    /// <summary>Above a number, and another at the most.</summary>
    public static NumberRange AboveTo(double low, double most) => new(
        value => value > low && value <= most, string.Create(CultureInfo.InvariantCulture, $"above {low} and at most {most}"));

    /// <summary>Whether a number is in it.</summary>
    public bool Contains(double value) => double.IsFinite(value) && _holds(value);

    /// <summary>"from 1 to 240", to stand behind "must be" or "a number".</summary>
    public override string ToString() => _words;
}
