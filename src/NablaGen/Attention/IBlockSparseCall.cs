using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>One block-sparse attention: its mask is chosen in the forward pass and stays for the gradient.</summary>
internal interface IBlockSparseCall
{
    /// <summary>Chooses the blocks and attends.</summary>
    /// <param name="q">[B, H, L, D]</param>
    /// <param name="k">[B, H, L, D]</param>
    /// <param name="v">[B, H, L, D]</param>
    /// <param name="saved">Gets the tensors that <see cref="Backward"/> will ask for; null where no gradient is wanted.</param>
    /// <returns>A new tensor in the type of <paramref name="v"/>. [B, H, L, D]</returns>
    Tensor Forward(Tensor q, Tensor k, Tensor v, ICollection<Tensor>? saved);

    /// <summary>The gradients of queries, keys and values, the mask held fixed.</summary>
    /// <param name="gradient">The output's gradient. [B, H, L, D]</param>
    /// <param name="saved">What <see cref="Forward"/> saved, in its order.</param>
    /// <returns>New tensors in the inputs' types. Each [B, H, L, D]</returns>
    (Tensor Q, Tensor K, Tensor V) Backward(Tensor gradient, IReadOnlyList<Tensor> saved);
}
