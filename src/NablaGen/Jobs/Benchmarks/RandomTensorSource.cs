using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>A checkpoint of random weights, each tensor drawn where it is wanted: on a GPU in no time, and on no disk.</summary>
/// <param name="path">What messages call it.</param>
/// <param name="shapes">Name → shape of each tensor.</param>
/// <param name="fill">Draws a tensor by its name.</param>
public sealed class RandomTensorSource(string path, IReadOnlyDictionary<string, long[]> shapes, Action<string, Tensor> fill) : ITensorSource
{
    private const int BFloat16Bytes = 2;

    /// <summary>Weights with which activations keep their size from layer to layer, as a trained model's do.</summary>
    public static RandomTensorSource Steady(string part, IReadOnlyDictionary<string, long[]> shapes) =>
        new($"random weights ({part})", shapes, (name, target) => RandomWeights.Fill(name, target));

    /// <summary>Weights that are all normal with a standard deviation of 0.02.</summary>
    public static RandomTensorSource Normal(string part, IReadOnlyDictionary<string, long[]> shapes) =>
        new($"random weights ({part})", shapes, (_, target) => RandomWeights.FillNormal(target));

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
    public void CopyTo(string name, Tensor target) => fill(name, target);

    /// <inheritdoc/>
    public void Dispose()
    {
        // Holds nothing.
    }
}
