using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>
/// RMSNorm over all heads, rotary position embedding and the mean over each block of tokens, in one pass over Q or K. Contract:
/// rms_norm_rope.cu. Port of WanRMSNorm and rope_apply, wan/modules/model.py.
/// </summary>
/// <param name="device">Where it runs.</param>
public sealed class RmsNormRope(CudaDevice device)
{
    /// <summary>Puts the pass on the stream. Addresses are device addresses.</summary>
    /// <param name="x">16-bit [batch, tokens, heads · headSize], contiguous.</param>
    /// <param name="y">The result, of the same shape; may be x itself.</param>
    /// <param name="type">Type of x and y.</param>
    /// <param name="batch">Sequences.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="headSize">Columns a head: 64 or 128.</param>
    /// <param name="offsets">The blocks of a sequence.</param>
    /// <param name="weight">float32 [heads · headSize].</param>
    /// <param name="roundProduct">Whether the product with the weight is rounded to the type, as for a weight of that type.</param>
    /// <param name="table">float32 [tokens, headSize / 2, 2], cosine and sine of each token's angles; 0: no rotation.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    /// <param name="pooled">float32 [batch · heads, blocks, headSize] for the means of what was stored, or 0.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(
        nint x, nint y, ElementType type, int batch, int heads, int headSize, BlockOffsets offsets, nint weight, bool roundProduct,
        nint table, float epsilon, nint pooled = 0, nint stream = 0)
    {
        var columns = heads * headSize;
        FusedOp.RequireRows(batch, columns);
        FusedOp.RequireAligned([x, y, weight, table, pooled]);
        if (headSize is not (64 or 128))
        {
            throw new ArgumentException($"Head size {headSize}; the kernels have 64 and 128.");
        }

        var threads = FusedOp.Threads(columns / 8, 512);
        int tokens = offsets.Tokens, round = roundProduct ? 1 : 0;
        var at = offsets.Pointer;
        var macros = FusedOp.Macros(type, $"COLUMNS={columns}", $"HEAD_DIM={headSize}", $"THREADS={threads}");
        device.Kernel("rms_norm_rope", macros).Launch(
            (offsets.Blocks, batch, 1), threads, 0, stream,
            [
                (nint)(&x), (nint)(&y), (nint)(&weight), (nint)(&table), (nint)(&at), (nint)(&pooled), (nint)(&tokens),
                (nint)(&epsilon), (nint)(&round),
            ]);
    }
}
