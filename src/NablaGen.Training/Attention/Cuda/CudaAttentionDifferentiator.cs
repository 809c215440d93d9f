using NablaGen.Attention;
using NablaGen.Attention.Cuda;
using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.Attention.Cuda;

/// <summary>
/// Attention with a gradient on CUDA by our own kernels (docs/kernels.md). Holds their workspaces, so one a run; it must live until the last
/// backward pass through it is done.
/// </summary>
internal sealed class CudaAttentionDifferentiator : IAttentionDifferentiator
{
    private readonly CudaDevice _device;
    private readonly CudaBlockSparseBackend _forward;
    private readonly BlockAttentionBackward _backward;
    private BlockLayout? _layout;
    private BlockOffsets? _offsets;

    /// <summary>The kernels of a device; they are compiled, or read from the cache, at first use.</summary>
    /// <exception cref="NablaGenException">The device cannot be used.</exception>
    public CudaAttentionDifferentiator(Device device)
    {
        _device = CudaDevices.Open(device);
        _forward = new CudaBlockSparseBackend(device);
        _backward = new BlockAttentionBackward(_device);
    }

    /// <inheritdoc/>
    public IBlockSparseBackend Inference => _forward;

    /// <summary>
    /// Saves q, k, v, the 16-bit output, the log-sum-exp and a copy of the mask's bits, for the next layer overwrites the mask: tensors of
    /// libtorch's, so they are freed with the graph and in the stream's order.
    /// </summary>
    /// <inheritdoc/>
    public Tensor Forward(DifferentiableCall call, Tensor q, Tensor k, Tensor v, ICollection<Tensor> saved)
    {
        using var scope = NewDisposeScope();
        var logSumExp = empty([q.shape[0], q.shape[1], q.shape[2]], ScalarType.Float32, v.device);
        var output = _forward.Attend(q, k, v, call.Layout, call.Expression, call.Layer, call.Means, logSumExp, out var mask, out var kept);
        call.Kept = kept;
        var bits = empty([mask.Heads, mask.Blocks, mask.Words], ScalarType.Int32, v.device);
        mask.CopyBits(new KernelAddress(bits.device).Of(bits, ScalarType.Int32, "the mask's bits"));
        foreach (var tensor in new[] { q, k, v, output, logSumExp.MoveToOuterDisposeScope(), bits.MoveToOuterDisposeScope() })
        {
            saved.Add(tensor);
        }

        output.MoveToOuterDisposeScope();
        return output.dtype == v.dtype ? output : output.to_type(v.dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public (Tensor Q, Tensor K, Tensor V) Backward(DifferentiableCall call, Tensor gradient, IReadOnlyList<Tensor> saved)
    {
        using var scope = NewDisposeScope();
        var (output, logSumExp, bits) = (saved[3], saved[4], saved[5]);
        var type = output.dtype;
        var (queries, keys, values) = (CudaDevices.Readable(saved[0], type), CudaDevices.Readable(saved[1], type), CudaDevices.Readable(saved[2], type));
        var outer = CudaDevices.Readable(gradient, type);
        var (q, k, v) = (CudaDevices.EmptyLike(queries), CudaDevices.EmptyLike(keys), CudaDevices.EmptyLike(values));
        var at = new KernelAddress(output.device);
        _backward.Run(
            CudaDevices.View(queries), CudaDevices.View(keys), CudaDevices.View(values), CudaDevices.View(output),
            at.Of(logSumExp, ScalarType.Float32, "the log-sum-exp"), CudaDevices.View(outer),
            new AttentionGradients(CudaDevices.View(q), CudaDevices.View(k), CudaDevices.View(v)), Offsets(call.Layout),
            new MaskBits(at.Of(bits, ScalarType.Int32, "the mask's bits"), (int)bits.shape[0], call.Layout.Blocks));
        return (As(q, saved[0]), As(k, saved[1]), As(v, saved[2]));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _offsets?.Dispose();
        _backward.Dispose();
        _forward.Dispose();
    }

    private static Tensor As(Tensor x, Tensor like) => x.to_type(like.dtype).MoveToOuterDisposeScope();

    private BlockOffsets Offsets(BlockLayout layout)
    {
        if (_layout != layout)
        {
            _offsets?.Dispose();
            _offsets = new BlockOffsets(_device, layout.Lengths);
            _layout = layout;
        }

        return _offsets!;
    }
}
