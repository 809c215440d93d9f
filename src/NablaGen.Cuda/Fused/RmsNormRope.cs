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
    private const int MostColumns = 10_240;

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
    public void Run(
        nint x, nint y, ElementType type, int batch, int heads, int headSize, BlockOffsets offsets, nint weight, bool roundProduct,
        nint table, float epsilon, nint pooled = 0, nint stream = 0) => Launch(
        x, y, type, (batch, heads, headSize, heads * headSize), offsets, (weight, 0), roundProduct, table, epsilon, (pooled, 0), isPair: false, stream);

    /// <summary>Puts Q's and K's pass on the stream as one launch, in place, where both are parts of one product's rows.</summary>
    /// <param name="x">16-bit [batch, tokens, rowStride]: each row begins with Q's columns, then K's.</param>
    /// <param name="type">Type of x.</param>
    /// <param name="batch">Sequences.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="headSize">Columns a head: 64 or 128.</param>
    /// <param name="rowStride">Elements from one token to the next, a multiple of 8; at least twice heads · headSize.</param>
    /// <param name="offsets">The blocks of a sequence.</param>
    /// <param name="weights">Q's and K's, float32 [heads · headSize] each.</param>
    /// <param name="table">As for <see cref="Run"/>.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    /// <param name="pooled">Q's and K's means, or 0 and 0.</param>
    /// <param name="stream">The stream.</param>
    public void RunPair(
        nint x, ElementType type, int batch, int heads, int headSize, int rowStride, BlockOffsets offsets, (nint Q, nint K) weights, nint table,
        float epsilon, (nint Q, nint K) pooled, nint stream = 0)
    {
        if (rowStride < 2 * heads * headSize || rowStride % 8 != 0)
        {
            throw new ArgumentException($"Rows of {rowStride} elements; expected a multiple of 8 that holds Q and K of {heads * headSize} columns.");
        }

        Launch(x, x, type, (batch, heads, headSize, rowStride), offsets, weights, roundProduct: false, table, epsilon, pooled, isPair: true, stream);
    }

    private unsafe void Launch(
        nint x, nint y, ElementType type, (int Batch, int Heads, int HeadSize, int RowStride) shape, BlockOffsets offsets, (nint Q, nint K) weights,
        bool roundProduct, nint table, float epsilon, (nint Q, nint K) means, bool isPair, nint stream)
    {
        var columns = shape.Heads * shape.HeadSize;
        FusedOp.RequireRows(shape.Batch, columns);
        FusedOp.RequireAligned([x, y, weights.Q, weights.K, table, means.Q, means.K]);
        if (shape.HeadSize is not (64 or 128))
        {
            throw new ArgumentException($"Head size {shape.HeadSize}; the kernels have 64 and 128.");
        }

        if (columns > MostColumns)
        {
            throw new ArgumentException($"{columns} columns; the rows that are on their way take shared memory for {MostColumns}.");
        }

        var threads = FusedOp.Threads(columns / 8, 512);
        int tokens = offsets.Tokens;
        long rowStride = shape.RowStride, next = columns;
        nint at = offsets.Pointer, weight = weights.Q, nextWeight = weights.K, pooled = means.Q, nextPooled = means.K;
        var macros = FusedOp.Macros(
            type, [$"COLUMNS={columns}", $"HEAD_DIM={shape.HeadSize}", $"THREADS={threads}", .. If(table, "ROTATE"), .. If(pooled, "POOL"), .. If(roundProduct ? 1 : 0, "ROUND_PRODUCT")]);
        device.Kernel("rms_norm_rope", macros).Launch(
            (offsets.Blocks, shape.Batch, isPair ? 2 : 1), threads, 0, stream,
            [
                (nint)(&x), (nint)(&y), (nint)(&weight), (nint)(&table), (nint)(&at), (nint)(&pooled), (nint)(&tokens),
                (nint)(&epsilon), (nint)(&rowStride), (nint)(&next), (nint)(&nextWeight), (nint)(&nextPooled),
            ]);
    }

    private static string[] If(nint there, string macro) => there != 0 ? [macro] : [];
}
