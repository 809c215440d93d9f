using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.Attention.Cpu;

/// <summary>
/// Attention with a gradient on the CPU, in float32 whatever the inputs' type. Either pass holds one head's packed copy at a time: memory is
/// linear in tokens.
/// </summary>
internal sealed unsafe class CpuAttentionDifferentiator : IAttentionDifferentiator
{
    private readonly int _lanes;
    private readonly CpuBlockSparseBackend _forward;

    /// <summary>With the widest vectors that this machine has.</summary>
    public CpuAttentionDifferentiator()
        : this(CpuLanes.Widest)
    {
    }

    /// <summary>With vectors of 8 or 16 floats, which every machine can run.</summary>
    public CpuAttentionDifferentiator(int lanes)
    {
        _lanes = lanes;
        _forward = new CpuBlockSparseBackend(lanes);
    }

    /// <inheritdoc/>
    public IBlockSparseBackend Inference => _forward;

    /// <inheritdoc/>
    public Tensor Forward(DifferentiableCall call, Tensor q, Tensor k, Tensor v, ICollection<Tensor> saved)
    {
        var logSumExp = empty([q.shape[0], q.shape[1], q.shape[2]]);
        var output = _forward.Attend(q, k, v, call.Layout, call.Expression, call.Layer, logSumExp, out var mask);
        call.Kept = mask;
        foreach (var tensor in new[] { q, k, v, output, logSumExp })
        {
            saved.Add(tensor);
        }

        return output;
    }

    /// <inheritdoc/>
    public (Tensor Q, Tensor K, Tensor V) Backward(DifferentiableCall call, Tensor gradient, IReadOnlyList<Tensor> saved)
    {
        using var scope = NewDisposeScope();
        var (queries, keys, values) = (Flat(saved[0]), Flat(saved[1]), Flat(saved[2]));
        var (output, logSumExp, outer) = (Flat(saved[3]), saved[4], Flat(gradient));
        var (q, k, v) = (empty_like(queries), empty_like(keys), empty_like(values));
        var (tokens, dim) = (call.Layout.Tokens, (int)queries.shape[3]);
        var mask = (BlockMask)call.Kept!;
        var lists = new QueryLists(mask);
        using var packed = new PackedGradient(call.Layout, dim, _lanes);
        for (var head = 0; head < mask.Heads; head++)
        {
            var at = (long)head * tokens * dim;
            packed.Pack(
                TensorMemory.Floats(queries) + at, TensorMemory.Floats(keys) + at, TensorMemory.Floats(values) + at,
                TensorMemory.Floats(output) + at, TensorMemory.Floats(outer) + at, TensorMemory.Floats(logSumExp) + (long)head * tokens);
            BlockSparseBackwardKernel.Run(
                packed, mask, lists, head, TensorMemory.Floats(q) + at, TensorMemory.Floats(k) + at, TensorMemory.Floats(v) + at);
        }

        GC.KeepAlive(saved);
        GC.KeepAlive(outer);
        return (As(q, saved[0]), As(k, saved[1]), As(v, saved[2]));
    }

    /// <inheritdoc/>
    public void Dispose() => _forward.Dispose();

    private static Tensor Flat(Tensor x) => x.to_type(ScalarType.Float32).contiguous();

    private static Tensor As(Tensor x, Tensor like) => x.to_type(like.dtype).MoveToOuterDisposeScope();
}
