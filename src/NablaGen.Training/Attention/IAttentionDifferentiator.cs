using NablaGen.Attention;
using static TorchSharp.torch;

namespace NablaGen.Training.Attention;

/// <summary>Block-sparse attention on one kind of device as a pair of passes: forward with what the gradient needs, and backward.</summary>
internal interface IAttentionDifferentiator : IDisposable
{
    /// <summary>The same attention without a gradient.</summary>
    IBlockSparseBackend Inference { get; }

    /// <summary>Chooses the blocks and attends over them; <paramref name="call"/> gets what was kept.</summary>
    /// <param name="call">The attention to compute.</param>
    /// <param name="q">[B, H, L, D]</param>
    /// <param name="k">[B, H, L, D]</param>
    /// <param name="v">[B, H, L, D]</param>
    /// <param name="saved">Gets the tensors that <see cref="Backward"/> will ask for.</param>
    /// <returns>A new tensor in the type of <paramref name="v"/>. [B, H, L, D]</returns>
    Tensor Forward(DifferentiableCall call, Tensor q, Tensor k, Tensor v, ICollection<Tensor> saved);

    /// <summary>The gradients of queries, keys and values, the kept blocks held fixed.</summary>
    /// <param name="call">What <see cref="Forward"/> computed.</param>
    /// <param name="gradient">The output's gradient. [B, H, L, D]</param>
    /// <param name="saved">What <see cref="Forward"/> saved, in its order.</param>
    /// <returns>New tensors in the inputs' types. Each [B, H, L, D]</returns>
    (Tensor Q, Tensor K, Tensor V) Backward(DifferentiableCall call, Tensor gradient, IReadOnlyList<Tensor> saved);
}
