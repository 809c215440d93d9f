using System.Runtime.CompilerServices;
using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Attention;

/// <summary>
/// A CUtensorMap, what the copy engine needs to know of a tensor: 5-D (64 columns, token, half of the head, head, batch), boxes of
/// 64 tokens by a whole head, swizzled over 128 bytes, zeros past the end.
/// </summary>
[InlineArray(16)]
internal struct TensorMap
{
    private const int Float16 = 6;
    private const int BFloat16 = 9;
    private const int Swizzle128 = 3;
    private const int Promote256 = 3;

    private ulong _word;

    /// <summary>The map of Q, K or V.</summary>
    public static unsafe TensorMap For(AttentionTensor x)
    {
        var halves = (ulong)x.HeadSize / 64;
        var dimensions = stackalloc ulong[] { 64, (ulong)x.Tokens, halves, (ulong)x.Heads, (ulong)x.Batch };
        var strides = stackalloc ulong[] { (ulong)x.TokenStride * 2, 128, (ulong)x.HeadStride * 2, (ulong)x.BatchStride * 2 };
        var box = stackalloc uint[] { 64, BlockOffsets.BlockSize, (uint)halves, 1, 1 };
        var elementStrides = stackalloc uint[] { 1, 1, 1, 1, 1 };
        // The driver writes to an address that is a multiple of 64.
        var room = stackalloc byte[sizeof(TensorMap) + 64];
        var map = (TensorMap*)(((nint)room + 63) & ~63);
        Driver.Check(
            Driver.cuTensorMapEncodeTiled(map, x.Type == ElementType.Float16 ? Float16 : BFloat16, 5, x.Pointer, dimensions, strides, box,
                elementStrides, 0, Swizzle128, Promote256, 0),
            "cuTensorMapEncodeTiled");
        return *map;
    }
}
