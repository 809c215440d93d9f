using NablaGen.Tensors;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>
/// A checkpoint of random weights, each tensor made where it is wanted: drawn on a GPU, copied from the pattern of <see cref="RepeatedNoise"/>
/// on the CPU, so that a streamed model is there no later than if it were read.
/// </summary>
/// <param name="path">What messages call it.</param>
/// <param name="shapes">Name → shape of each tensor.</param>
/// <param name="deviation">The standard deviation of a tensor's numbers, by its name and shape; null where they are not normal.</param>
/// <param name="fill">Draws a tensor by its name.</param>
public sealed class RandomTensorSource(
    string path, IReadOnlyDictionary<string, long[]> shapes, Func<string, long[], double?> deviation, Action<string, Tensor> fill) : ITensorSource
{
    private const int BFloat16Bytes = 2;

    private readonly RepeatedNoise _noise = new();

    /// <summary>Weights with which activations keep their size from layer to layer, as a trained model's do.</summary>
    public static RandomTensorSource Steady(string part, IReadOnlyDictionary<string, long[]> shapes) =>
        new($"random weights ({part})", shapes, RandomWeights.Deviation, (name, target) => RandomWeights.Fill(name, target));

    /// <summary>Weights that are all normal with a standard deviation of 0.02.</summary>
    public static RandomTensorSource Normal(string part, IReadOnlyDictionary<string, long[]> shapes) =>
        new($"random weights ({part})", shapes, (_, _) => RandomWeights.NormalDeviation, (_, target) => RandomWeights.FillNormal(target));

    /// <inheritdoc/>
    public string Path => path;

    /// <inheritdoc/>
    public IReadOnlyList<string> Files => [];

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorEntry> Entries { get; } = shapes.ToDictionary(
        tensor => tensor.Key,
        tensor => new TensorEntry(tensor.Key, StoredType.BF16, tensor.Value, 0, BFloat16Bytes * tensor.Value.Aggregate(1L, (product, side) => product * side)));

    /// <inheritdoc/>
    public string FileOf(string name) => path;

    /// <inheritdoc/>
    public Tensor Read(string name)
    {
        var read = empty(shapes[name], ScalarType.BFloat16);
        CopyTo(name, read);
        return read;
    }

    /// <inheritdoc/>
    public void CopyTo(string name, Tensor target)
    {
        if (target.device_type == DeviceType.CPU && target.is_contiguous() && deviation(name, target.shape) is { } size)
        {
            _noise.CopyTo(target, size);
        }
        else
        {
            DeviceRandom.Seed(Seed(name), target.device);
            fill(name, target);
        }
    }

    // The same numbers in every process and on every GPU of one kind, whatever was drawn before.
    private static long Seed(string name) => name.Aggregate(17L, (seed, letter) => (seed * 31 + letter) & int.MaxValue);

    /// <inheritdoc/>
    public void Dispose() => _noise.Dispose();
}
