namespace NablaGen.Training.World;

/// <summary>The objects' colours.</summary>
internal static class Palette
{
    private static readonly (int R, int G, int B)[] Objects =
    [
        (228, 44, 50), (247, 134, 28), (252, 212, 38), (52, 178, 74), (0, 186, 184), (46, 104, 236), (142, 68, 214), (247, 106, 176),
    ];

    /// <summary>A colour before light falls on it: sRGB, each part in [0, 1].</summary>
    public static (double R, double G, double B) Of(ObjectColour colour)
    {
        var (r, g, b) = Objects[(int)colour];
        return (r / 255.0, g / 255.0, b / 255.0);
    }
}
