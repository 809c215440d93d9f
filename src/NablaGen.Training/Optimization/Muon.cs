using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.Optimization;

/// <summary>
/// Muon's steps for the matrices inside a model: the momentum with all its singular values near 1, so that rare directions are learnt as
/// fast as common ones (Jordan et al., https://kellerjordan.github.io/posts/muon). A convolution is a matrix of its outputs.
/// </summary>
/// <remarks>
/// A step has the size that AdamW's usually has (root mean square 0.2, as in arXiv 2502.16982), so that one learning rate serves both.
/// Matrices of one shape that lie side by side are one batch: about 16 products a shape and step.
/// </remarks>
public sealed class Muon
{
    private const int Iterations = 5;

    // Steepest at 0 among the quintics that take [0, 1] near 1: singular values end between 0.7 and 1.2.
    private const double First = 3.4445, Third = -4.7750, Fifth = 2.0315;

    private const double StepSize = 0.2;

    private readonly List<Stack> _stacks = [];

    /// <summary>Muon for some of a model's parameters.</summary>
    /// <param name="parameters">The model's.</param>
    /// <param name="isMatrix">Which of them, by name and shape.</param>
    public Muon(FlatParameters parameters, Func<string, long[], bool> isMatrix)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(isMatrix);
        foreach (var (name, shape, start) in parameters.Items.Where(item => isMatrix(item.Name, item.Shape)))
        {
            var (rows, columns) = (shape[0], shape.Skip(1).Aggregate(1L, (product, side) => product * side));
            if (_stacks.Count > 0 && _stacks[^1] is var last && last.Rows == rows && last.Columns == columns && last.Start + last.Length == start)
            {
                _stacks[^1] = last with { Count = last.Count + 1 };
            }
            else
            {
                _stacks.Add(new Stack(start, 1, rows, columns));
            }
        }
    }

    /// <summary>Puts the steps into their places and leaves all else as it is; the caller takes them times the rate.</summary>
    /// <param name="momentum">What to make steps of. [N]</param>
    /// <param name="steps">[N]</param>
    public void Write(Tensor momentum, Tensor steps)
    {
        ArgumentNullException.ThrowIfNull(momentum);
        ArgumentNullException.ThrowIfNull(steps);
        using var noGrad = no_grad();
        foreach (var stack in _stacks)
        {
            using var scope = NewDisposeScope();
            var size = StepSize * Math.Sqrt(Math.Max(stack.Rows, stack.Columns));
            stack.Of(steps).copy_(Orthogonalize(stack.Of(momentum)).Times_(size));
        }
    }

    /// <summary>
    /// U Vᵀ of each matrix U Σ Vᵀ, roughly, by Newton and Schulz's iteration: in bfloat16 on a GPU, where it is a few small products.
    /// [n, rows, columns] → the same
    /// </summary>
    public static Tensor Orthogonalize(Tensor matrices)
    {
        ArgumentNullException.ThrowIfNull(matrices);
        using var scope = NewDisposeScope();
        // The products are of the shorter side.
        var isTall = matrices.shape[1] > matrices.shape[2];
        var x = isTall ? matrices.transpose(1, 2) : matrices;
        x = x / linalg.vector_norm(x, 2, [1, 2], keepdim: true).AtLeast(1e-12);
        x = x.to_type(matrices.device.type == TorchSharp.DeviceType.CUDA ? ScalarType.BFloat16 : ScalarType.Float32);
        for (var i = 0; i < Iterations; i++)
        {
            var square = x.bmm(x.transpose(1, 2));
            // Not baddbmm: TorchSharp 0.107 hands its arguments on in another order.
            var factor = square.bmm(square).Times_(Fifth).Plus_(square, Third);
            x = factor.bmm(x).Plus_(x, First);
        }

        return (isTall ? x.transpose(1, 2) : x).to_type(matrices.dtype).MoveToOuterDisposeScope();
    }

    // Matrices side by side in the vector.
    private readonly record struct Stack(long Start, long Count, long Rows, long Columns)
    {
        public long Length => Count * Rows * Columns;

        // [N] → [Count, Rows, Columns]
        public Tensor Of(Tensor vector) => vector.narrow(0, Start, Length).view(Count, Rows, Columns);
    }
}
