using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>
/// From pooled logits to the mask: the largest blocks that carry the top of the mass. Contract: nabla_select.cu.
/// </summary>
/// <param name="device">Where it runs.</param>
public sealed class NablaSelect(CudaDevice device)
{
    // Numbers of a row that a lane holds at most; beyond, they are in shared memory.
    private const int MostValues = 64;

    // What the kernel takes of it for its candidates.
    private const int StaticBytes = 1024;

    /// <summary>Puts the selection for some heads of a mask on the stream.</summary>
    /// <param name="scores">Device address of float32 [heads, blocks, <see cref="NablaScores.StrideFor"/>].</param>
    /// <param name="firstHead">First head of the mask that these scores are for.</param>
    /// <param name="heads">How many.</param>
    /// <param name="threshold">Share of the softmax's mass that the kept blocks carry; by head, from the first of these on.</param>
    /// <param name="window">A sliding window that is kept too.</param>
    /// <param name="mask">Gets the result.</param>
    /// <param name="stream">The stream.</param>
    /// <param name="top">How many of a row's largest blocks are kept whatever they carry; more than there are keeps all.</param>
    public void Run(
        nint scores, int firstHead, int heads, NablaThreshold threshold, SlidingWindow? window, DeviceBlockMask mask, nint stream = 0, int top = 1) =>
        Launch(scores, firstHead, heads, (float)(1 - threshold.Value), threshold.Dropped, top, window, mask, [], stream);

    /// <summary>Puts the selection of a number of blocks for some heads of a mask on the stream; equal scores at the border are all kept.</summary>
    /// <param name="scores">As above.</param>
    /// <param name="firstHead">As above.</param>
    /// <param name="heads">As above.</param>
    /// <param name="count">How many key blocks each row keeps: those with the highest scores.</param>
    /// <param name="mask">Gets the result.</param>
    /// <param name="stream">The stream.</param>
    public void RunTop(nint scores, int firstHead, int heads, int count, DeviceBlockMask mask, nint stream = 0)
    {
        if (count < 1 || count > mask.Blocks)
        {
            throw new ArgumentException($"{count} of {mask.Blocks} blocks are to be kept.");
        }

        Launch(scores, firstHead, heads, mask.Blocks - count + 0.5f, 0, 1, null, mask, ["BY_COUNT"], stream);
    }

    private unsafe void Launch(
        nint scores, int firstHead, int heads, float dropped, nint byHead, int top, SlidingWindow? window, DeviceBlockMask mask, string[] macros,
        nint stream)
    {
        if (firstHead < 0 || heads < 1 || firstHead + heads > mask.Heads)
        {
            throw new ArgumentException($"Heads {firstHead} to {firstHead + heads - 1} of a mask of {mask.Heads}.");
        }

        if (top < 1)
        {
            throw new ArgumentException($"At least 1 block of a row is kept, found {top}.");
        }

        var blocks = mask.Blocks;
        var least = Math.Min(top, blocks);
        var scoreStride = NablaScores.StrideFor(blocks);
        // A row a warp: in its registers, of one of a few lengths so that few kernels are compiled, or, a long one, in shared memory, with room for fewer warps.
        var values = (blocks + 255) / 256 * 8;
        var rowStride = (blocks + 31) / 32 * 32;
        var (warps, inRegisters) = (8, values <= MostValues);
        while (!inRegisters && warps > 1 && warps * rowStride * 4 > Math.Min(64 * 1024, device.SharedMemoryPerBlock - StaticBytes))
        {
            warps /= 2;
        }

        var firstRow = (long)firstHead * blocks;
        var bits = mask.Bits + (nint)(firstRow * mask.Words * 4);
        var lists = mask.Lists == 0 ? 0 : mask.Lists + (nint)(firstRow * blocks * 2);
        var counts = mask.Counts + (nint)(firstRow * 4);
        var (reachT, reachH, reachW, gridHeight, gridWidth) = window ?? new SlidingWindow(-1, 0, 0, 1, 1);
        string[] sizes = inRegisters ? [$"WARPS={warps}", $"VALUES={values}"] : [$"WARPS={warps}"];
        device.Kernel("nabla_select", [.. sizes, .. macros]).Launch(
            ((blocks + warps - 1) / warps, heads, 1), 32 * warps, inRegisters ? 0 : warps * rowStride * 4, stream,
            [
                (nint)(&scores), (nint)(&bits), (nint)(&lists), (nint)(&counts), (nint)(&blocks), (nint)(&scoreStride),
                (nint)(&rowStride), (nint)(&dropped), (nint)(&byHead), (nint)(&least), (nint)(&reachT), (nint)(&reachH), (nint)(&reachW), (nint)(&gridHeight), (nint)(&gridWidth),
            ]);
    }
}
