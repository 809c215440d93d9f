using static TorchSharp.torch;

namespace NablaGen.Training.Evaluation;

/// <summary>
/// OKLab (Ottosson 2020): lightness, and two axes of colour in which equal distances look about equal and a hue stays a direction in
/// light and shade.
/// </summary>
internal static class OkLab
{
    /// <summary>sRGB in [0, 1], [3, …], as lightness, a and b, [3, …].</summary>
    public static Tensor FromRgb(Tensor rgb)
    {
        using var scope = NewDisposeScope();
        var linear = where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055).clamp(0, 2).pow(2.4)).reshape(3, -1);
        var cones = Matrix(0.4122214708f, 0.5363325363f, 0.0514459929f, 0.2119034982f, 0.6806995451f, 0.1073969566f, 0.0883024619f, 0.2817188376f, 0.6299787005f)
            .matmul(linear).clamp_(0, 2).pow_(1 / 3.0);
        return Matrix(0.2104542553f, 0.7936177850f, -0.0040720468f, 1.9779984951f, -2.4285922050f, 0.4505937099f, 0.0259040371f, 0.7827717662f, -0.8086757660f)
            .matmul(cones).reshape(rgb.shape).MoveToOuterDisposeScope();

        Tensor Matrix(params float[] values) => tensor(values, [3, 3], device: rgb.device);
    }

    /// <summary>One colour, sRGB in [0, 1].</summary>
    public static (double L, double A, double B) FromRgb(double r, double g, double b)
    {
        using var scope = NewDisposeScope();
        var lab = FromRgb(tensor([(float)r, (float)g, (float)b], [3, 1])).data<float>().ToArray();
        return (lab[0], lab[1], lab[2]);
    }
}
