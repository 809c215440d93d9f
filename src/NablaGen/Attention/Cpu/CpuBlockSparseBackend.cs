using static TorchSharp.torch;

namespace NablaGen.Attention.Cpu;

/// <summary>
/// Block-sparse attention on the CPU, in float32 whatever the inputs' type. Its time falls with the mask's density, and it holds one
/// head's packed copy at a time: memory is linear in tokens, in the backward pass too.
/// </summary>
public sealed class CpuBlockSparseBackend : IBlockSparseBackend
{
    private readonly int _lanes;

    /// <summary>With the widest vectors that this machine has.</summary>
    public CpuBlockSparseBackend()
        : this(CpuLanes.Widest)
    {
    }

    /// <summary>With vectors of 8 or 16 floats, which every machine can run.</summary>
    internal CpuBlockSparseBackend(int lanes) => _lanes = CpuLanes.Checked(lanes);

    /// <inheritdoc/>
    public Tensor Forward(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks kept, int layer = 0,
        BlockMeans? means = null)
    {
        var call = new CpuBlockSparseCall(layout, expression, layer, _lanes);
        var output = BlockSparseFunction.Run(call, q, k, v);
        kept = call.Mask!;
        return output;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
