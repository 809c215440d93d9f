using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>Which query blocks attend to each key block. Contract: transpose_mask.cu.</summary>
/// <param name="device">Where it runs.</param>
public sealed class MaskTranspose(CudaDevice device)
{
    /// <summary>Puts the transposition on the stream; nothing waits for it.</summary>
    /// <param name="mask">The mask.</param>
    /// <param name="destination">Device address of as many bytes, not the mask's own.</param>
    /// <param name="stream">The stream.</param>
    /// <returns>The transposed mask: row j is key block j, its bits the query blocks.</returns>
    public unsafe MaskBits Run(MaskBits mask, nint destination, nint stream = 0)
    {
        if (destination == mask.Pointer)
        {
            throw new ArgumentException("A mask cannot be transposed in place.");
        }

        nint from = mask.Pointer, to = destination;
        var blocks = mask.Blocks;
        device.Kernel("transpose_mask").Launch(
            (mask.Words, (mask.Words + LaunchConstants.TransposeWords - 1) / LaunchConstants.TransposeWords, mask.Heads), 32 * LaunchConstants.TransposeWords, 0, stream,
            [(nint)(&from), (nint)(&to), (nint)(&blocks)]);
        return mask with { Pointer = destination };
    }
}
