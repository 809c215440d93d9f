using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Tensors.Matrices;

/// <summary>Plain numbers in float32, bfloat16 or float16, multiplied by libtorch: activations are cast to the weights' type, as autocast does.</summary>
public sealed class DenseMatrix : IMatrix
{
    /// <summary>A matrix whose values are yet to be read from a checkpoint.</summary>
    public DenseMatrix(long inputs, long outputs, ModuleOptions options)
        : this(options.Parameter(outputs, inputs))
    {
    }

    private DenseMatrix(Parameter weight) => Weight = weight;

    /// <summary>The values. [outputs, inputs]</summary>
    public Parameter Weight { get; }

    /// <inheritdoc/>
    public long Outputs => Weight.shape[0];

    /// <inheritdoc/>
    public long Inputs => Weight.shape[1];

    /// <inheritdoc/>
    public long Bytes => Weight.NumberOfElements * Weight.element_size();

    /// <inheritdoc/>
    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters => [("weight", Weight)];

    /// <inheritdoc/>
    public void Load(IMatrixValues values) => values.CopyTo(Weight);

    /// <summary>Matrices of one size that lie one after another in memory.</summary>
    internal static IMatrix[] Adjacent(int count, long inputs, long outputs, ModuleOptions options) =>
        [.. options.Parameters(count, outputs, inputs).Select(weight => new DenseMatrix(weight))];

    /// <inheritdoc/>
    public IMatrix? Join(ReadOnlySpan<IMatrix> others)
    {
        var dense = others.ToArray().OfType<DenseMatrix>().Select(other => other.Weight).ToArray();
        return dense.Length == others.Length && AdjacentRows.Of(Weight, dense) is { } whole ? new DenseMatrix(new Parameter(whole, requires_grad: false)) : null;
    }

    /// <inheritdoc/>
    public Tensor Multiply(Activation x, Tensor? bias)
    {
        if (x.RowScales is not null)
        {
            throw new NotSupportedException($"a matrix in {Weight.dtype} takes activations without scales, and these have row-wise scales");
        }

        using var scope = NewDisposeScope();
        return nn.functional.linear(x.Values.to_type(Weight.dtype), Weight, bias).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose() => Weight.Dispose();
}
