using System.Globalization;
using NablaGen.Attention;
using NablaGen.Weights.Lora;

namespace NablaGen.Generation.Fields;

/// <summary>The kinds of values that a request field can have.</summary>
public static class FieldKinds
{
    /// <summary>Any text.</summary>
    public static FieldKind<string?> Text { get; } = new TextKind(null);

    /// <summary>An attention expression.</summary>
    public static FieldKind<AttentionExpression?> Attention { get; } = new AttentionKind();

    /// <summary>LoRAs.</summary>
    public static FieldKind<LoraList?> Loras { get; } = new LoraKind();

    /// <summary>A step cache.</summary>
    public static FieldKind<string?> StepCache { get; } = new StepCacheKind();

    /// <summary>A picture, by its file's name.</summary>
    public static FieldKind<SourcePicture?> Picture { get; } = new PictureKind();

    /// <summary>One of a few names.</summary>
    public static FieldKind<string?> OneOf(IReadOnlyCollection<string> names) => new TextKind(names);

    /// <summary>Whole numbers of 32 bits.</summary>
    public static FieldKind<int?> Whole(NumberRange range) => new NumberKind<int>(NumberStyles.Integer, "a whole number", range);

    /// <summary>Whole numbers of 32 bits, or <c>auto</c>.</summary>
    public static FieldKind<int?> WholeOrAuto(NumberRange range) => new AutoKind(Whole(range));

    /// <summary>Whole numbers of 64 bits.</summary>
    public static FieldKind<long?> Long(NumberRange range) => new NumberKind<long>(NumberStyles.Integer, "a whole number", range);

    /// <summary>Real numbers.</summary>
    public static FieldKind<double?> Number(NumberRange range) => new NumberKind<double>(NumberStyles.Float, "a number", range);

    /// <summary>A list of real numbers.</summary>
    public static FieldKind<IReadOnlyList<double>?> Numbers(NumberRange range) => new NumberListKind(range);
}
