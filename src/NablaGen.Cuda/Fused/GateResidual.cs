using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>The residual stream takes a gated branch, x + y · gate, in float32. Contract: gate_residual.cu.</summary>
/// <param name="device">Where it runs.</param>
public sealed class GateResidual(CudaDevice device)
{
    /// <summary>Puts the pass on the stream. Addresses are device addresses.</summary>
    /// <param name="x">float32 [rows, columns], contiguous.</param>
    /// <param name="y">16-bit [rows, columns], contiguous.</param>
    /// <param name="type">Type of y.</param>
    /// <param name="rows">Batch times tokens.</param>
    /// <param name="columns">Model width, a multiple of 8.</param>
    /// <param name="gate">float32, for row r at (r / rowsPerBatch) · gateStride; 0: no gate.</param>
    /// <param name="rowsPerBatch">Rows that share a gate; 0 for all.</param>
    /// <param name="gateStride">Floats from one batch's gate to the next.</param>
    /// <param name="sum">The result, of the shape of x; 0: x is changed in place.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(
        nint x, nint y, ElementType type, int rows, int columns, nint gate = 0, int rowsPerBatch = 0, long gateStride = 0,
        nint sum = 0, nint stream = 0)
    {
        FusedOp.RequireRows(rows, columns);
        FusedOp.RequireAligned([x, y, gate, sum], gateStride);
        sum = sum == 0 ? x : sum;
        if (rowsPerBatch == 0)
        {
            rowsPerBatch = rows;
        }

        long count = rows;
        device.Kernel("gate_residual", FusedOp.Macros(type)).Launch(
            (FusedOp.WalkGrid(device, count * columns / 8), 1, 1), FusedOp.WalkThreads, 0, stream,
            [
                (nint)(&x), (nint)(&sum), (nint)(&y), (nint)(&gate), (nint)(&count), (nint)(&columns), (nint)(&rowsPerBatch), (nint)(&gateStride),
            ]);
    }
}
