using NablaGen.Cuda;
using NablaGen.Native;
using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>
/// One attention on CUDA. For the gradient it keeps the log-sum-exp and the mask's bits as tensors of libtorch's, so that they are freed
/// with the graph and in the stream's order; the backend's own mask is overwritten by the next layer.
/// </summary>
internal sealed class CudaBlockSparseCall(CudaBlockSparseBackend backend, BlockLayout layout, AttentionExpression expression) : IBlockSparseCall
{
    private int _maskHeads;

    /// <summary>What was kept, until the backend's next call.</summary>
    public IKeptBlocks? Kept { get; private set; }

    /// <inheritdoc/>
    public Tensor Forward(Tensor q, Tensor k, Tensor v, ICollection<Tensor>? saved)
    {
        using var scope = NewDisposeScope();
        var type = CudaDevices.IsSixteenBit(v.dtype) ? v.dtype : ScalarType.BFloat16;
        var (queries, keys, values) = (Ready(q, type), Ready(k, type), Ready(v, type));
        var (batch, heads, tokens, dim) = (q.shape[0], q.shape[1], q.shape[2], q.shape[3]);
        if (dim is not (64 or 128))
        {
            throw new NablaGenException($"sparse attention on CUDA has kernels for heads of 64 and 128 channels, and this model's have {dim}: use --attention dense");
        }

        var output = EmptyLike(values);
        var logSumExp = saved is null ? null : empty([batch, heads, tokens], ScalarType.Float32, v.device);
        backend.Prepare(layout, (int)(batch * heads));
        var mask = backend.Mask(CudaDevices.View(queries), CudaDevices.View(keys), layout, expression);
        backend.Attention.Run(
            CudaDevices.View(queries), CudaDevices.View(keys), CudaDevices.View(values), CudaDevices.View(output), backend.Offsets, mask,
            logSumExp: logSumExp is null ? 0 : TensorMemory.Address(logSumExp));
        Kept = new KeptBlocks(mask);
        if (saved is not null)
        {
            var bits = empty([mask.Heads, mask.Blocks, mask.Words], ScalarType.Int32, v.device);
            mask.CopyBits(TensorMemory.Address(bits));
            _maskHeads = mask.Heads;
            foreach (var tensor in new[] { q, k, v, output, logSumExp!, bits })
            {
                saved.Add(tensor);
            }

            logSumExp!.MoveToOuterDisposeScope();
            bits.MoveToOuterDisposeScope();
            output.MoveToOuterDisposeScope();
        }

        return output.to_type(v.dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public (Tensor Q, Tensor K, Tensor V) Backward(Tensor gradient, IReadOnlyList<Tensor> saved)
    {
        using var scope = NewDisposeScope();
        var (output, logSumExp, bits) = (saved[3], saved[4], saved[5]);
        var type = output.dtype;
        var (queries, keys, values, outer) = (Ready(saved[0], type), Ready(saved[1], type), Ready(saved[2], type), Ready(gradient, type));
        var (q, k, v) = (EmptyLike(queries), EmptyLike(keys), EmptyLike(values));
        backend.Prepare(layout, (int)(output.shape[0] * output.shape[1]));
        backend.Backward.Run(
            CudaDevices.View(queries), CudaDevices.View(keys), CudaDevices.View(values), CudaDevices.View(output),
            TensorMemory.Address(logSumExp), CudaDevices.View(outer),
            new AttentionGradients(CudaDevices.View(q), CudaDevices.View(k), CudaDevices.View(v)), backend.Offsets,
            new MaskBits(TensorMemory.Address(bits), _maskHeads, layout.Blocks));
        return (As(q, saved[0]), As(k, saved[1]), As(v, saved[2]));
    }

    // [B, L, H, D] in memory: what the linear layers around take without a copy.
    private static Tensor EmptyLike(Tensor x) => empty([x.shape[0], x.shape[2], x.shape[1], x.shape[3]], x.dtype, x.device).transpose(1, 2);

    // What the kernels can read: 16-byte pieces of a row.
    private static Tensor Ready(Tensor x, ScalarType type)
    {
        var converted = x.to_type(type);
        var fits = converted.stride(3) == 1 && Enumerable.Range(0, 3).All(axis => converted.stride(axis) % 8 == 0)
            && TensorMemory.Address(converted) % 16 == 0;
        return fits ? converted : converted.contiguous();
    }

    private static Tensor As(Tensor x, Tensor like) => x.to_type(like.dtype).MoveToOuterDisposeScope();

    private sealed class KeptBlocks(NablaGen.Cuda.BlockMask mask) : IKeptBlocks
    {
        public double Density => mask.Density();
    }
}
