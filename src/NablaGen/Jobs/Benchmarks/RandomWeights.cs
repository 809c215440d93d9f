using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>Weights for a model that is only to be timed or compared with itself.</summary>
internal static class RandomWeights
{
    /// <summary>
    /// Norms 1, biases 0, the rest normal with a variance of 1 / inputs, so that activations keep their size from layer to layer as a
    /// trained model's do.
    /// </summary>
    /// <param name="module">Its parameters are written.</param>
    /// <param name="generator">Where the numbers come from; null for torch's own of the weights' device.</param>
    public static void Fill(nn.Module module, Generator? generator = null)
    {
        foreach (var (name, parameter) in module.named_parameters())
        {
            Fill(name, parameter, generator);
        }
    }

    /// <summary>The standard deviation of <see cref="FillNormal"/>.</summary>
    public const double NormalDeviation = 0.02;

    /// <summary>Normal with a standard deviation of 0.02.</summary>
    public static void FillNormal(Tensor parameter)
    {
        using var noGrad = no_grad();
        parameter.normal_(0, NormalDeviation);
    }

    /// <summary>As <see cref="Fill(nn.Module, Generator?)"/>, for one parameter.</summary>
    public static void Fill(string name, Tensor parameter, Generator? generator = null)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        if (name.EndsWith("bias", StringComparison.Ordinal))
        {
            parameter.zero_();
        }
        else if (Deviation(name, parameter.shape) is { } deviation)
        {
            parameter.normal_(0, deviation, generator);
        }
        else
        {
            parameter.Fill_(1);
        }
    }

    /// <summary>The standard deviation of a parameter's numbers; null where they are all the same.</summary>
    public static double? Deviation(string name, long[] shape) =>
        name.EndsWith("bias", StringComparison.Ordinal) || shape.Count(side => side > 1) < 2
            ? null
            : 1 / Math.Sqrt(shape.Skip(1).Aggregate(1.0, (product, side) => product * side));
}
