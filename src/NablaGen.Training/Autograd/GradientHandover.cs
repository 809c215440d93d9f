using static TorchSharp.torch;

namespace NablaGen.Training.Autograd;

/// <summary>
/// Hands gradients from one of our backward passes to libtorch, which copies their handles after the pass has returned and does not free ours.
/// So ours live until this thread's next backward pass.
/// </summary>
internal static class GradientHandover
{
    [ThreadStatic]
    private static IReadOnlyList<Tensor>? _last;

    /// <summary>What the backward pass returns.</summary>
    /// <param name="gradients">One an input; null where it has none. Taken out of their dispose scope.</param>
    /// <param name="given">The gradients the pass was given, ours to free; null where there was none. One may be among the others.</param>
    public static List<Tensor> Pass(IReadOnlyList<Tensor?> gradients, IReadOnlyList<Tensor?> given)
    {
        foreach (var tensor in _last ?? [])
        {
            tensor.Dispose();
        }

        _last = [.. gradients.OfType<Tensor>().Select(gradient => gradient.DetachFromDisposeScope())];
        foreach (var tensor in given)
        {
            if (tensor is not null && !_last.Contains(tensor, ReferenceEqualityComparer.Instance))
            {
                tensor.Dispose();
            }
        }

        return [.. gradients.Select(gradient => gradient!)];
    }
}
