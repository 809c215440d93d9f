namespace NablaGen.Training.Evaluation;

/// <summary>
/// OKLab (Ottosson 2020): lightness, and two axes of colour in which equal distances look about equal and a hue stays a direction in
/// light and shade.
/// </summary>
internal static class OkLab
{
    // sRGB's curve undone, for each value of a byte.
    private static readonly float[] Linear =
    [
        .. Enumerable.Range(0, 256).Select(i => (float)(i / 255.0 is var value && value <= 0.04045 ? value / 12.92 : Math.Pow((value + 0.055) / 1.055, 2.4))),
    ];

    /// <summary>One colour, sRGB in bytes.</summary>
    public static (float L, float A, float B) FromRgb(byte red, byte green, byte blue)
    {
        float r = Linear[red], g = Linear[green], b = Linear[blue];
        float l = MathF.Cbrt((0.4122214708f * r) + (0.5363325363f * g) + (0.0514459929f * b));
        float m = MathF.Cbrt((0.2119034982f * r) + (0.6806995451f * g) + (0.1073969566f * b));
        float s = MathF.Cbrt((0.0883024619f * r) + (0.2817188376f * g) + (0.6299787005f * b));
        return (
            (0.2104542553f * l) + (0.7936177850f * m) - (0.0040720468f * s),
            (1.9779984951f * l) - (2.4285922050f * m) + (0.4505937099f * s),
            (0.0259040371f * l) + (0.7827717662f * m) - (0.8086757660f * s));
    }
}
