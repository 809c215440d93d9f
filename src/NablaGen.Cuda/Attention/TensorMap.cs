using System.Runtime.CompilerServices;
using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Attention;

/// <summary>
/// A CUtensorMap, what the copy engine needs to know of a tensor; zeros past the end.
/// </summary>
[InlineArray(16)]
internal struct TensorMap
{
    private const int Float16 = 6;
    private const int BFloat16 = 9;
    private const int Swizzle64 = 2;
    private const int Swizzle128 = 3;
    private const int Promote256 = 3;

    private ulong _word;

    /// <summary>
    /// The map of Q, K or V: 5-D (64 columns, token, half of the head, head, batch), boxes of 64 tokens by a whole head, swizzled over 128 bytes.
    /// </summary>
    public static unsafe TensorMap For(AttentionTensor x)
    {
        var halves = (ulong)x.HeadSize / 64;
        var dimensions = stackalloc ulong[] { 64, (ulong)x.Tokens, halves, (ulong)x.Heads, (ulong)x.Batch };
        var strides = stackalloc ulong[] { (ulong)x.TokenStride * 2, 128, (ulong)x.HeadStride * 2, (ulong)x.BatchStride * 2 };
        var box = stackalloc uint[] { 64, BlockOffsets.BlockSize, (uint)halves, 1, 1 };
        return Encode(x.Pointer, x.Type, dimensions, strides, box, Swizzle128);
    }

    /// <summary>
    /// The map of a frame: 5-D (channel, column, row, 1, 1), swizzled over the bytes of a box's channels, which are 32 or 64.
    /// </summary>
    public static unsafe TensorMap OfFrame(
        nint pointer, ElementType type, (int Channels, int Columns, int Rows) sizes, (int Channels, int Columns, int Rows) boxes)
    {
        var pixel = (ulong)sizes.Channels * 2;
        var row = (ulong)sizes.Columns * pixel;
        var dimensions = stackalloc ulong[] { (ulong)sizes.Channels, (ulong)sizes.Columns, (ulong)sizes.Rows, 1, 1 };
        var whole = row * (ulong)sizes.Rows;
        var strides = stackalloc ulong[] { pixel, row, whole, whole };
        var box = stackalloc uint[] { (uint)boxes.Channels, (uint)boxes.Columns, (uint)boxes.Rows, 1, 1 };
        return Encode(pointer, type, dimensions, strides, box, boxes.Channels == 64 ? Swizzle128 : Swizzle64);
    }

    private static unsafe TensorMap Encode(nint pointer, ElementType type, ulong* dimensions, ulong* strides, uint* box, int swizzle)
    {
        var elementStrides = stackalloc uint[] { 1, 1, 1, 1, 1 };
        // The driver writes to an address that is a multiple of 64.
        var room = stackalloc byte[sizeof(TensorMap) + 64];
        var map = (TensorMap*)(((nint)room + 63) & ~63);
        Driver.Check(
            Driver.cuTensorMapEncodeTiled(map, type == ElementType.Float16 ? Float16 : BFloat16, 5, pointer, dimensions, strides, box,
                elementStrides, 0, swizzle, Promote256, 0),
            "cuTensorMapEncodeTiled");
        return *map;
    }
}
