using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>
/// LayerNorm with an optional affine step and an optional modulation, float32 in, 16-bit out, in one pass. Contract:
/// layer_norm_modulate.cu. Port of WanLayerNorm and the block's modulation, wan/modules/model.py.
/// </summary>
/// <param name="device">Where it runs.</param>
public sealed class LayerNormModulate(CudaDevice device)
{
    /// <summary>
    /// Puts y = LayerNorm(x) · weight + bias, then · (1 + scale) + shift, on the stream. All arguments are device addresses.
    /// </summary>
    /// <param name="x">float32 [rows, columns], contiguous.</param>
    /// <param name="y">16-bit [rows, columns], contiguous.</param>
    /// <param name="type">Type of y.</param>
    /// <param name="rows">Batch times tokens.</param>
    /// <param name="columns">Model width, a multiple of 8.</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <param name="weight">float32 [columns], or 0.</param>
    /// <param name="bias">float32 [columns], or 0; with <paramref name="weight"/> or not at all.</param>
    /// <param name="scale">float32, for row r at (r / rowsPerBatch) · modulationStride, or 0.</param>
    /// <param name="shift">The same; with <paramref name="scale"/> or not at all.</param>
    /// <param name="rowsPerBatch">Rows that share a modulation; 0 for all.</param>
    /// <param name="modulationStride">Floats from one batch's modulation to the next.</param>
    /// <param name="statistics">float32 [rows, 2] for mean and 1 / √(variance + epsilon), which the gradient needs; or 0.</param>
    /// <param name="rowScales">float32 [rows] for a scale a row: the result is then fp8 (E4M3), of compute capability 8.9 or newer; or 0.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(
        nint x, nint y, ElementType type, int rows, int columns, float epsilon, nint weight = 0, nint bias = 0, nint scale = 0,
        nint shift = 0, int rowsPerBatch = 0, long modulationStride = 0, nint statistics = 0, nint rowScales = 0,
        nint stream = 0)
    {
        FusedOp.RequireRows(rows, columns);
        FusedOp.RequireAligned([x, y, weight, bias, scale, shift, statistics, rowScales], modulationStride);
        if (rowScales != 0)
        {
            FusedOp.RequireFp8(device);
        }

        if ((weight == 0) != (bias == 0) || (scale == 0) != (shift == 0))
        {
            throw new ArgumentException("LayerNorm's weight and bias, and the modulation's scale and shift, come in pairs.");
        }

        if (rowsPerBatch == 0)
        {
            rowsPerBatch = rows;
        }

        var threads = FusedOp.Threads(columns / 4, 320);
        device.Kernel("layer_norm_modulate", FusedOp.NormMacros(type, columns, threads, isFp8: rowScales != 0)).Launch(
            (rows, 1, 1), threads, 0, stream,
            [
                (nint)(&x), (nint)(&y), (nint)(&weight), (nint)(&bias), (nint)(&scale), (nint)(&shift), (nint)(&statistics), (nint)(&rowScales),
                (nint)(&rowsPerBatch), (nint)(&modulationStride), (nint)(&epsilon),
            ]);
    }
}
