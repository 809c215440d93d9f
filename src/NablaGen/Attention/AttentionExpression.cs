using System.Globalization;
using System.Text.RegularExpressions;

namespace NablaGen.Attention;

/// <summary>
/// Which attention a run uses, in the reference's own syntax: <c>dense</c>, <c>nabla-0.7</c>, <c>sta-11-3-3</c> or their union
/// <c>nabla-0.6_sta-11-3-3</c>; and one more form, <c>nabla-NAME</c>, for a threshold for each layer and head, as <c>nablagen calibrate</c>
/// finds them. <c>nabla-0.7+top8</c> keeps at least 8 key blocks for each query block, the largest; <c>nabla-0.7+tail</c> replaces the blocks
/// that a query block drops by one pooled term. <c>rola-0.1</c> is the sparse part of sparse + low-rank attention (RoLa), whose other part is in the
/// model's weights: a tenth of the key blocks for each query block. What a name stands for is told by whoever parses the expression: nothing here opens a file.
/// </summary>
/// <param name="Threshold">
/// NABLA's threshold: the share of each row's mass that the kept blocks carry, in (0, 1]; null without NABLA, and where each head has its own.
/// </param>
/// <param name="Window">The STA window; null without STA.</param>
public sealed partial record AttentionExpression(double? Threshold, StaWindow? Window)
{
    /// <summary>Steps that a pure <c>sta-*</c> keeps dense unless told otherwise (set_sparse_attention, wan/text2video.py).</summary>
    public const int StaDenseSteps = 12;

    /// <summary>Attention to everything.</summary>
    public static AttentionExpression Dense { get; } = new(null, null);

    /// <summary>NABLA's threshold for each layer and head; null where one serves all.</summary>
    public HeadThresholds? HeadThresholds { get; init; }

    /// <summary>The name of <see cref="HeadThresholds"/>, as the expression had it: the path of a file of thresholds.</summary>
    public string? ThresholdsName { get; init; }

    /// <summary>The least number of key blocks that NABLA keeps for a query block, the largest of them; null for one.</summary>
    public int? Top { get; init; }

    /// <summary>The share of the key blocks that RoLa keeps for each query block, those with the highest scores, in (0, 1]; null without RoLa.</summary>
    public double? RolaShare { get; init; }

    /// <summary>Whether the blocks that a query block drops enter its softmax as one pooled term (see <see cref="PooledTail"/>).</summary>
    public bool HasTail { get; init; }

    /// <summary>Whether NABLA is in it.</summary>
    public bool UsesNabla => Threshold is not null || HeadThresholds is not null;

    /// <summary>Whether nothing is left out.</summary>
    public bool IsDense => !UsesNabla && Window is null && RolaShare is null;

    /// <summary>The first steps kept dense by default: 12 for STA alone, otherwise 0.</summary>
    public int DefaultDenseSteps => !UsesNabla && Window is not null ? StaDenseSteps : 0;

    /// <summary>A short name that a file can have: the expression, without the folders and the ending of <see cref="ThresholdsName"/>.</summary>
    public string Name => ThresholdsName is null ? ToString() : Spell($"nabla-{Path.GetFileNameWithoutExtension(ThresholdsName)}");

    /// <summary>NABLA with a threshold.</summary>
    /// <exception cref="InvalidRequestException">The threshold is not in (0, 1].</exception>
    public static AttentionExpression Nabla(double threshold) => new(CheckThreshold(threshold, $"nabla-{threshold.ToString(CultureInfo.InvariantCulture)}"), null);

    /// <summary>NABLA with a threshold for each layer and head.</summary>
    /// <param name="thresholds">The thresholds.</param>
    /// <param name="name">Their name, such as the path of the file that they are from.</param>
    public static AttentionExpression Nabla(HeadThresholds thresholds, string name) => new(null, null) { HeadThresholds = thresholds, ThresholdsName = name };

    /// <summary>RoLa's sparse part.</summary>
    /// <param name="share">The share of the key blocks that each query block keeps.</param>
    /// <exception cref="InvalidRequestException">The share is not in (0, 1].</exception>
    public static AttentionExpression Rola(double share) => share is > 0 and <= 1
        ? new(null, null) { RolaShare = share }
        : throw new InvalidRequestException($"attention 'rola-{share.ToString(CultureInfo.InvariantCulture)}': the share of key blocks must be above 0 and at most 1");

    /// <summary>Parses an expression that names no thresholds.</summary>
    /// <param name="text">The expression.</param>
    /// <exception cref="InvalidRequestException">It is not one of the forms, or a number is out of range.</exception>
    public static AttentionExpression Parse(string text) => Parse(text, _ => null);

    /// <summary>Parses a recipe's expression. The file that it may name is only a name, and is never opened.</summary>
    /// <param name="text">The expression.</param>
    /// <param name="thresholds">What <c>nabla-NAME</c> stands for; null where the recipe has none.</param>
    /// <exception cref="InvalidRequestException">It is not one of the forms, a number is out of range, or it names a file and there are no thresholds.</exception>
    public static AttentionExpression ParseRecipe(string text, HeadThresholds? thresholds) => Parse(text, name => thresholds
        ?? throw new InvalidRequestException($"attention '{text}' names the file '{name}', and the recipe lacks the thresholds that were in it (head_thresholds)"));

    /// <summary>Parses an expression. What follows <c>nabla-</c> is a threshold if it is a number, else the name of thresholds.</summary>
    /// <param name="text">The expression.</param>
    /// <param name="find">The thresholds of a name; null for a name that it does not know. Its exceptions pass through.</param>
    /// <exception cref="InvalidRequestException">It is not one of the forms, a number is out of range, or the name is not known.</exception>
    public static AttentionExpression Parse(string text, Func<string, HeadThresholds?> find)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text == "dense")
        {
            return Dense;
        }

        var parts = Form().Match(text) is { Success: true } match ? match.Groups : throw Invalid(text);
        StaWindow? window = parts["t"].Success
            ? new StaWindow(WindowSide(parts["t"].Value, text), WindowSide(parts["h"].Value, text), WindowSide(parts["w"].Value, text))
            : null;
        if (parts["rola"] is { Success: true } share)
        {
            return Rola(double.Parse(share.Value, CultureInfo.InvariantCulture));
        }

        var nabla = parts["nabla"];
        if (!nabla.Success)
        {
            return new AttentionExpression(null, window);
        }

        int? top = parts["top"].Success ? Count(parts["top"].Value, text) : null;
        if (IsThreshold(nabla.Value, out var threshold))
        {
            return new AttentionExpression(CheckThreshold(threshold, text), window) { Top = top, HasTail = parts["tail"].Success };
        }

        return new AttentionExpression(null, window)
        {
            HeadThresholds = find(nabla.Value) ?? throw new InvalidRequestException(
                $"attention '{text}': '{nabla.Value}' is neither a threshold such as 0.7 nor a file of thresholds that is there"),
            ThresholdsName = nabla.Value,
            Top = top,
            HasTail = parts["tail"].Success,
        };
    }

    /// <summary>The same expression with the path that it may name, if it is a relative one, taken from a folder.</summary>
    public static string InFolder(string text, string folder)
    {
        var nabla = Form().Match(text).Groups["nabla"];
        return !nabla.Success || IsThreshold(nabla.Value, out _)
            ? text
            : $"{text[..nabla.Index]}{Path.Combine(folder, nabla.Value)}{text[(nabla.Index + nabla.Length)..]}";
    }

    /// <summary>How many of the key blocks RoLa keeps for a query block: the share of them, rounded down, at least one.</summary>
    /// <param name="blocks">Blocks of the video.</param>
    public int RolaBlocks(int blocks) => Math.Clamp((int)(RolaShare!.Value * blocks), 1, blocks);

    /// <summary>The threshold of a head; null without NABLA.</summary>
    /// <param name="layer">The layer, from 0.</param>
    /// <param name="head">The head, from 0.</param>
    public double? ThresholdOf(int layer, int head) => HeadThresholds is { } heads ? heads[layer, head] : Threshold;

    /// <summary>The expression in its canonical spelling; the method <c>Parse</c> reads it back.</summary>
    public override string ToString() => RolaShare is { } share ? "rola-" + share.ToString(CultureInfo.InvariantCulture) :
        Spell(HeadThresholds is null ? Threshold is { } value ? "nabla-" + value.ToString(CultureInfo.InvariantCulture) : null : $"nabla-{ThresholdsName}");

    private string Spell(string? nabla) => (nabla, Window) switch
    {
        (null, null) => "dense",
        (null, { } window) => window.ToString(),
        (_, null) => nabla + Suffix,
        (_, { } window) => $"{nabla}{Suffix}_{window}",
    };

    private string Suffix => (Top is { } top ? string.Create(CultureInfo.InvariantCulture, $"+top{top}") : "") + (HasTail ? "+tail" : "");

    // A file's name may have any of these characters, so only the end of the text can be the window.
    [GeneratedRegex("^(?:nabla-(?<nabla>.+?)(?:(?:\\+top(?<top>[0-9]+))?(?<tail>\\+tail)?|(?<tail>\\+tail)\\+top(?<top>[0-9]+))(?:_sta-(?<t>[0-9]+)-(?<h>[0-9]+)-(?<w>[0-9]+))?|rola-(?<rola>[0-9]*\\.?[0-9]+)|sta-(?<t>[0-9]+)-(?<h>[0-9]+)-(?<w>[0-9]+))$", RegexOptions.Singleline)]
    private static partial Regex Form();

    private static bool IsThreshold(string text, out double value) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value);

    private static double CheckThreshold(double value, string text) => value is > 0 and <= 1
        ? value
        : throw new InvalidRequestException($"attention '{text}': NABLA's threshold must be above 0 and at most 1");

    private static int Count(string number, string text) =>
        int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= 1
            ? value
            : throw new InvalidRequestException($"attention '{text}': at least 1 key block is kept: use +top1 or more");

    private static int WindowSide(string side, string text) =>
        int.TryParse(side, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= 1
            ? value
            : throw new InvalidRequestException($"attention '{text}': each side of an STA window is a whole number of blocks, at least 1");

    private static InvalidRequestException Invalid(string text) => new(
        $"attention '{text}' is not known: use dense, nabla-<threshold>, nabla-<threshold>+top<blocks>, nabla-<threshold>+tail, both, sta-<t>-<h>-<w>, nabla-<threshold>_sta-<t>-<h>-<w> "
        + "or nabla-<file> with a file of thresholds; rola-<share> for SparkDiffusion's checkpoints");
}
