using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>Peak signal-to-noise ratio of frames in [−1, 1].</summary>
public static class TensorPsnr
{
    private const double Peak = 2;

    /// <summary>
    /// 20 log₁₀(peak / root mean square difference), in decibels, of frames clamped to [−1, 1]; infinite for equal ones.
    /// </summary>
    /// <param name="actual">Frames of any shape, on any device.</param>
    /// <param name="expected">The same shape.</param>
    public static double Of(Tensor actual, Tensor expected)
    {
        using var scope = NewDisposeScope();
        return FromMeanSquare(MeanSquare(actual, expected));
    }

    /// <summary>The same of latents, which have no bounds: the peak is the difference between the largest and the least expected number.</summary>
    /// <param name="actual">Latents of any shape, on any device.</param>
    /// <param name="expected">The same shape.</param>
    public static double OfLatents(Tensor actual, Tensor expected)
    {
        using var scope = NewDisposeScope();
        var full = expected.to_type(ScalarType.Float64);
        var meanSquare = (actual.to_type(ScalarType.Float64).to(full.device) - full).Squared().mean().item<double>();
        var range = full.max().item<double>() - full.min().item<double>();
        return 10 * Math.Log10(range * range / meanSquare);
    }

    /// <summary>The mean square of the difference of frames clamped to [−1, 1], to be averaged over pieces of a video.</summary>
    internal static double MeanSquare(Tensor actual, Tensor expected)
    {
        using var scope = NewDisposeScope();
        var difference = Clamped(actual) - Clamped(expected).to(actual.device);
        return difference.Squared().mean([], type: ScalarType.Float64).item<double>();
    }

    /// <summary>Decibels.</summary>
    internal static double FromMeanSquare(double meanSquare) => 10 * Math.Log10(Peak * Peak / meanSquare);

    private static Tensor Clamped(Tensor frames) => frames.to_type(ScalarType.Float32).Clamped(-1, 1);
}
