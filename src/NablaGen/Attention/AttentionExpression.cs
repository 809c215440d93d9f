using System.Globalization;

namespace NablaGen.Attention;

/// <summary>
/// Which attention a run uses, in the reference's own syntax: <c>dense</c>, <c>nabla-0.7</c>, <c>sta-11-3-3</c> or their union
/// <c>nabla-0.6_sta-11-3-3</c>.
/// </summary>
/// <param name="Threshold">NABLA's thr: the share of each row's mass that the kept blocks carry, in (0, 1]; null without NABLA.</param>
/// <param name="Window">The STA window; null without STA.</param>
public sealed record AttentionExpression(double? Threshold, StaWindow? Window)
{
    /// <summary>Steps that a pure <c>sta-*</c> keeps dense unless told otherwise (set_sparse_attention, wan/text2video.py).</summary>
    public const int StaDenseSteps = 12;

    /// <summary>Attention to everything.</summary>
    public static AttentionExpression Dense { get; } = new(null, null);

    /// <summary>Whether nothing is left out.</summary>
    public bool IsDense => Threshold is null && Window is null;

    /// <summary>The first steps kept dense by default: 12 for STA alone, otherwise 0.</summary>
    public int DefaultDenseSteps => Threshold is null && Window is not null ? StaDenseSteps : 0;

    /// <summary>NABLA with a threshold.</summary>
    /// <exception cref="InvalidRequestException">The threshold is not in (0, 1].</exception>
    public static AttentionExpression Nabla(double threshold) => new(CheckThreshold(threshold, $"nabla-{threshold.ToString(CultureInfo.InvariantCulture)}"), null);

    /// <summary>Reads an expression.</summary>
    /// <exception cref="InvalidRequestException">It is not one of the four forms, or a number is out of range.</exception>
    public static AttentionExpression Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text == "dense")
        {
            return Dense;
        }

        double? threshold = null;
        StaWindow? window = null;
        foreach (var part in text.Split('_'))
        {
            var fields = part.Split('-');
            if (fields is ["nabla", var number] && threshold is null && window is null)
            {
                threshold = double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)
                    ? CheckThreshold(value, text)
                    : throw Invalid(text);
            }
            else if (fields is ["sta", var t, var h, var w] && window is null)
            {
                window = new StaWindow(WindowSide(t, text), WindowSide(h, text), WindowSide(w, text));
            }
            else
            {
                throw Invalid(text);
            }
        }

        return new AttentionExpression(threshold, window);
    }

    /// <summary>The expression in its canonical spelling; <see cref="Parse"/> reads it back.</summary>
    public override string ToString()
    {
        var nabla = Threshold is { } value ? "nabla-" + value.ToString(CultureInfo.InvariantCulture) : null;
        return (nabla, Window) switch
        {
            (null, null) => "dense",
            (null, { } window) => window.ToString(),
            (_, null) => nabla,
            (_, { } window) => $"{nabla}_{window}",
        };
    }

    private static double CheckThreshold(double value, string text) => value is > 0 and <= 1
        ? value
        : throw new InvalidRequestException($"attention '{text}': NABLA's threshold must be above 0 and at most 1");

    private static int WindowSide(string side, string text) =>
        int.TryParse(side, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= 1
            ? value
            : throw new InvalidRequestException($"attention '{text}': each side of an STA window is a whole number of blocks, at least 1");

    private static InvalidRequestException Invalid(string text) => new(
        $"attention '{text}' is not known: use dense, nabla-<threshold>, sta-<t>-<h>-<w> or nabla-<threshold>_sta-<t>-<h>-<w>");
}
