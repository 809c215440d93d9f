using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>The world's eight object colours as directions in OKLab.</summary>
/// <remarks>
/// A pixel's vividness is its chroma over that of the pure colour at its hue, straight between neighbours on the wheel: about 1 on an
/// object in the light, above 0.5 in its shade, below 0.35 on every backdrop.
/// </remarks>
internal static class HueWheel
{
    private const int Steps = 360;

    private static readonly (double Angle, double Chroma)[] Colours =
    [
        .. Enum.GetValues<ObjectColour>().Select(colour =>
        {
            var (red, green, blue) = Palette.Of(colour);
            var (_, a, b) = OkLab.FromRgb(Byte(red), Byte(green), Byte(blue));
            return (Angle(a, b), Math.Sqrt((a * a) + (b * b)));
        }),
    ];

    // The pure chroma for each degree of hue.
    private static readonly double[] Pure = [.. Enumerable.Range(0, Steps).Select(PureAt)];

    /// <summary>The least chroma of a pure colour: what has less than a part of it is no more vivid than that part.</summary>
    public static double LeastChroma { get; } = Pure.Min();

    /// <summary>A pixel's vividness.</summary>
    public static double Vividness(double a, double b)
    {
        double chroma = Math.Sqrt((a * a) + (b * b));
        // Grey has no hue.
        return chroma < 0.01 ? 0 : chroma / Pure[(int)Angle(a, b) % Steps];
    }

    /// <summary>The object colour nearest in hue.</summary>
    public static ObjectColour Nearest(double a, double b)
    {
        double angle = Angle(a, b);
        return Enum.GetValues<ObjectColour>().MinBy(colour => Apart(angle, Colours[(int)colour].Angle));
    }

    private static byte Byte(double value) => (byte)Math.Round(255 * value);

    private static double Angle(double a, double b) => ((Math.Atan2(b, a) * 180 / Math.PI) + 360) % 360;

    private static double Apart(double one, double other) => Math.Abs((((one - other) % 360) + 540) % 360 - 180);

    private static double PureAt(int degree)
    {
        var below = Colours.MinBy(c => (degree - c.Angle + 720) % 360);
        var above = Colours.MinBy(c => (c.Angle - degree + 720) % 360);
        double gap = (above.Angle - below.Angle + 360) % 360;
        double t = gap == 0 ? 0 : ((degree - below.Angle + 360) % 360) / gap;
        return below.Chroma + ((above.Chroma - below.Chroma) * t);
    }
}
