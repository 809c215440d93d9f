using NablaGen.Cuda.Fused;
using NablaGen.Tensors.Matrices;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>A checkpoint whose matrices are in one stored form, with random bytes that stand for small numbers: to time matrices that stay as stored.</summary>
/// <param name="source">The checkpoint of all else; this one's own from now on.</param>
/// <param name="format">One of <see cref="ExpandNumbers.Formats"/>.</param>
public sealed class StoredNoise(ITensorSource source, string format) : ITensorSource
{
    // As halves these bytes are scales of about 0.01, as fp8 numbers of about 0.1: nothing overflows.
    private const int Least = 0x20, Most = 0x28;

    /// <inheritdoc/>
    public string Path => source.Path;

    /// <inheritdoc/>
    public IReadOnlyList<string> Files => source.Files;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorEntry> Entries => source.Entries;

    /// <inheritdoc/>
    public string FileOf(string name) => source.FileOf(name);

    /// <inheritdoc/>
    public Tensor Read(string name) => source.Read(name);

    /// <inheritdoc/>
    public void CopyTo(string name, Tensor target) => source.CopyTo(name, target);

    /// <inheritdoc/>
    public StoredNumbers? FindStored(string name) => Entries[name].Shape is [var rows, var columns] && ExpandNumbers.Fits(format, columns)
        ? new StoredNumbers(format, ExpandNumbers.BytesOf(format, rows * columns), bytes => bytes.random_(Least, Most), Refuse)
        : null;

    /// <inheritdoc/>
    public void Dispose() => source.Dispose();

    private static void Refuse(Tensor bytes, Tensor values) => throw new NotSupportedException("random blocks are for a GPU's kernels alone");
}
