using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>What RMSNorm multiplies each row by, for a reader that scales rows by itself. Contract: rms_inverse.cu.</summary>
/// <param name="device">Where it runs.</param>
public sealed class RmsInverse(CudaDevice device)
{
    private const int Warps = FusedOp.WalkThreads / 32;

    /// <summary>Puts inverse = 1 / √(mean(x²) + epsilon) of each row on the stream. Arguments are device addresses.</summary>
    /// <param name="x">16-bit [rows, columns], contiguous.</param>
    /// <param name="inverse">float32 [rows].</param>
    /// <param name="type">Type of x.</param>
    /// <param name="rows">Batch times tokens.</param>
    /// <param name="columns">A multiple of 8.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(nint x, nint inverse, ElementType type, int rows, int columns, float epsilon, nint stream = 0)
    {
        FusedOp.RequireRows(rows, columns);
        FusedOp.RequireAligned([x, inverse]);
        long count = rows;
        device.Kernel("rms_inverse", FusedOp.Macros(type, $"COLUMNS={columns}")).Launch(
            (FusedOp.WalkGrid(device, (long)rows * FusedOp.WalkThreads / Warps), 1, 1), FusedOp.WalkThreads, 0, stream,
            [(nint)(&x), (nint)(&inverse), (nint)(&count), (nint)(&epsilon)]);
    }
}
