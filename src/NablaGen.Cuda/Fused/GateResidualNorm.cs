using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>
/// The residual stream takes a gated branch, x + y · gate, and is normalised for the next branch, in one pass. Contract:
/// gate_residual_norm.cu.
/// </summary>
/// <param name="device">Where it runs.</param>
public sealed class GateResidualNorm(CudaDevice device)
{
    /// <summary>Puts the pass on the stream. All arguments are device addresses; 0 means none.</summary>
    /// <param name="x">float32 [rows, columns], contiguous.</param>
    /// <param name="y">16-bit [rows, columns], contiguous.</param>
    /// <param name="h">16-bit [rows, columns] for the normalised stream; may be y.</param>
    /// <param name="type">Type of y and h.</param>
    /// <param name="rows">Batch times tokens.</param>
    /// <param name="columns">Model width, a multiple of 8.</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <param name="gate">float32, for row r at (r / rowsPerBatch) · modulationStride.</param>
    /// <param name="weight">float32 [columns].</param>
    /// <param name="bias">float32 [columns]; with <paramref name="weight"/> or not at all.</param>
    /// <param name="scale">float32, as the gate.</param>
    /// <param name="shift">float32, as the gate; with <paramref name="scale"/> or not at all.</param>
    /// <param name="rowsPerBatch">Rows that share gate, scale and shift; 0 for all.</param>
    /// <param name="modulationStride">Floats from one batch's gate, scale and shift to the next's.</param>
    /// <param name="sum">The sum, of the shape of x; 0: x is changed in place.</param>
    /// <param name="statistics">float32 [rows, 2] for mean and 1 / √(variance + epsilon), which the gradient needs.</param>
    /// <param name="rowScales">float32 [rows] for a scale a row: the result is then fp8 (E4M3), of compute capability 8.9 or newer; or 0.</param>
    /// <param name="second">16-bit [rows, columns]: one more branch, added as it is; or 0. <paramref name="h"/> may be it.</param>
    /// <param name="keepsSum">Whether the sum is written at all.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(
        nint x, nint y, nint h, ElementType type, int rows, int columns, float epsilon, nint gate = 0, nint weight = 0, nint bias = 0,
        nint scale = 0, nint shift = 0, int rowsPerBatch = 0, long modulationStride = 0, nint sum = 0, nint statistics = 0,
        nint rowScales = 0, nint second = 0, bool keepsSum = true, nint stream = 0)
    {
        FusedOp.RequireRows(rows, columns);
        FusedOp.RequireAligned([x, y, h, gate, weight, bias, scale, shift, sum, statistics, rowScales, second], modulationStride);
        if (rowScales != 0)
        {
            FusedOp.RequireFp8(device);
        }

        sum = !keepsSum ? 0 : sum == 0 ? x : sum;
        if ((weight == 0) != (bias == 0) || (scale == 0) != (shift == 0))
        {
            throw new ArgumentException("LayerNorm's weight and bias, and the modulation's scale and shift, come in pairs.");
        }

        if (rowsPerBatch == 0)
        {
            rowsPerBatch = rows;
        }

        var threads = FusedOp.Threads(columns / 4, 320);
        device.Kernel("gate_residual_norm", FusedOp.NormMacros(type, columns, threads, isFp8: rowScales != 0)).Launch(
            (rows, 1, 1), threads, 0, stream,
            [
                (nint)(&x), (nint)(&sum), (nint)(&y), (nint)(&second), (nint)(&h), (nint)(&gate), (nint)(&weight), (nint)(&bias), (nint)(&scale), (nint)(&shift),
                (nint)(&statistics), (nint)(&rowScales), (nint)(&rowsPerBatch), (nint)(&modulationStride), (nint)(&epsilon),
            ]);
    }
}
