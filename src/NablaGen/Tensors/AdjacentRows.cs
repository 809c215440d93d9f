using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>Tensors that lie one after another in one piece of memory, as one.</summary>
internal static class AdjacentRows
{
    /// <summary>A view of the rows of all; null where they are not of one type and width, or do not follow one another without a gap.</summary>
    /// <param name="first">[rows] or [rows, columns], contiguous.</param>
    /// <param name="others">What follows it.</param>
    public static Tensor? Of(Tensor first, params IEnumerable<Tensor> others)
    {
        var (rows, end) = (first.shape[0], End(first));
        foreach (var next in others)
        {
            // Memory of two allocations may touch too: a view is of one.
            if (next.dtype != first.dtype || next.dim() != first.dim() || !next.shape.AsSpan(1).SequenceEqual(first.shape.AsSpan(1)) || !next.is_contiguous()
                || TensorMemory.Address(next) != end || next.storage_offset() - first.storage_offset() != rows * Width(first))
            {
                return null;
            }

            (rows, end) = (rows + next.shape[0], End(next));
        }

        return first.is_contiguous() ? first.as_strided([rows, .. first.shape[1..]], first.stride(), first.storage_offset()) : null;
    }

    private static long Width(Tensor tensor) => tensor.dim() == 1 ? 1 : tensor.shape[1];

    private static nint End(Tensor tensor) => TensorMemory.Address(tensor) + (nint)(tensor.NumberOfElements * tensor.element_size());
}
