using static TorchSharp.torch;

namespace NablaGen.Attention.Cuda;

/// <summary>One attention on CUDA.</summary>
internal sealed class CudaBlockSparseCall(CudaBlockSparseBackend backend, BlockLayout layout, AttentionExpression expression, int layer, BlockMeans? means)
    : IBlockSparseCall
{
    /// <summary>What was kept, until the backend's next call.</summary>
    public IKeptBlocks? Kept { get; private set; }

    /// <inheritdoc/>
    public Tensor Forward(Tensor q, Tensor k, Tensor v, ICollection<Tensor>? saved)
    {
        var output = backend.Attend(q, k, v, layout, expression, layer, means, saved, out var kept);
        Kept = kept;
        return output;
    }

    /// <inheritdoc/>
    public (Tensor Q, Tensor K, Tensor V) Backward(Tensor gradient, IReadOnlyList<Tensor> saved) => backend.Differentiate(gradient, saved, layout);
}
