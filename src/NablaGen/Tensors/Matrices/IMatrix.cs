using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Tensors.Matrices;

/// <summary>A weight matrix [outputs, inputs] in some number format: what a linear layer multiplies by.</summary>
/// <remarks>
/// The layers, the ops and the loader know matrices by this alone. Another format (fp8, int8, GGUF's) is another implementation and a line
/// in <see cref="MatrixFormats"/>.
/// </remarks>
public interface IMatrix : IDisposable
{
    /// <summary>Rows.</summary>
    long Outputs { get; }

    /// <summary>Columns.</summary>
    long Inputs { get; }

    /// <summary>Bytes of memory.</summary>
    long Bytes { get; }

    /// <summary>What the layer registers, by its name in the layer: all that the matrix has in memory.</summary>
    IReadOnlyList<(string Name, Parameter Parameter)> Parameters { get; }

    /// <summary>Whether activations in fp8 with row-wise scales are multiplied as they are: the op that writes them may then quantise them.</summary>
    bool TakesRowScales => false;

    /// <summary>Takes over a checkpoint's numbers; the checkpoint knows them as the layer's <c>weight</c>, [outputs, inputs].</summary>
    /// <param name="values">The numbers.</param>
    /// <exception cref="NablaGenException">They can't be read, or the format cannot hold them.</exception>
    void Load(IMatrixValues values);

    /// <summary>
    /// This matrix and others as one of all their rows, where they are in one format and lie one after another in memory; null where they do not.
    /// </summary>
    /// <param name="others">What follows it.</param>
    /// <returns>A view, for as long as the matrices are: the caller disposes of it.</returns>
    IMatrix? Join(ReadOnlySpan<IMatrix> others) => null;

    /// <summary>x Wᵀ + b. [..., inputs] → [..., outputs], in the type of the format's results.</summary>
    /// <param name="x">The activation.</param>
    /// <param name="bias">[outputs], or null.</param>
    /// <returns>A new tensor.</returns>
    Tensor Multiply(Activation x, Tensor? bias);
}

/// <summary>What a matrix is multiplied with: a tensor as it is, or quantised by the op that wrote it.</summary>
/// <param name="Values">The numbers. [..., inputs]</param>
/// <param name="RowScales">
/// float32 factors of the rows, where the values are quantised: the numbers are values · scale. [...] Null where they stand for themselves.
/// </param>
public readonly record struct Activation(Tensor Values, Tensor? RowScales = null) : IDisposable
{
    /// <summary>A tensor as it is.</summary>
    public static implicit operator Activation(Tensor values) => FromTensor(values);

    /// <summary>Frees the tensors.</summary>
    public void Dispose()
    {
        Values.Dispose();
        RowScales?.Dispose();
    }

    /// <summary>A tensor as it is.</summary>
    public static Activation FromTensor(Tensor values) => new(values);
}
