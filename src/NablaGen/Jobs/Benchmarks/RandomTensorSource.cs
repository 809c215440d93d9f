using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>A checkpoint of <see cref="RandomWeights"/>, each tensor drawn where it is wanted: on a GPU in no time, and on no disk.</summary>
/// <param name="name">What messages call it.</param>
/// <param name="shapes">Name → shape of each tensor.</param>
internal sealed class RandomTensorSource(string name, IReadOnlyDictionary<string, long[]> shapes) : ITensorSource
{
    private const int BFloat16Bytes = 2;

    public string Path => name;

    public IReadOnlyList<string> Files => [];

    public IReadOnlyDictionary<string, TensorEntry> Entries { get; } = shapes.ToDictionary(
        tensor => tensor.Key,
        tensor => new TensorEntry(tensor.Key, StoredType.BF16, tensor.Value, 0, BFloat16Bytes * tensor.Value.Aggregate(1L, (product, side) => product * side)));

    public string FileOf(string tensor) => name;

    public Tensor Read(string tensor)
    {
        var read = empty(shapes[tensor], ScalarType.BFloat16);
        CopyTo(tensor, read);
        return read;
    }

    public void CopyTo(string tensor, Tensor target) => RandomWeights.Fill(tensor, target);

    public void Dispose()
    {
        // Holds nothing.
    }
}
