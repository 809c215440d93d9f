using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>Rows of 16-bit numbers to fp8 (E4M3) with a scale each. Contract: quantize_rows.cu.</summary>
/// <param name="device">Where it runs.</param>
public sealed class QuantizeRows(CudaDevice device)
{
    private const int MostThreads = 320;

    /// <summary>Puts y = fp8(x / scale), scale = max|x| / 448 of the row, on the stream. Arguments are device addresses.</summary>
    /// <param name="x">16-bit [rows, columns], contiguous.</param>
    /// <param name="y">fp8 [rows, columns], contiguous.</param>
    /// <param name="scales">float32 [rows].</param>
    /// <param name="type">Type of x.</param>
    /// <param name="rows">Tokens, or outputs of a weight.</param>
    /// <param name="columns">A multiple of 16.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(nint x, nint y, nint scales, ElementType type, int rows, int columns, nint stream = 0)
    {
        if (device.Capability.Number < 89)
        {
            throw new CudaException($"{device.Name} has compute capability {device.Capability}; fp8 needs 8.9 or newer.");
        }

        FusedOp.RequireRows(rows, columns);
        FusedOp.RequireAligned([x, y, scales]);
        if (columns % 16 != 0)
        {
            throw new ArgumentException($"{columns} columns; rows are quantised in pieces of 16.");
        }

        var threads = FusedOp.Threads(columns / 16, MostThreads);
        device.Kernel("quantize_rows", FusedOp.Macros(type, $"COLUMNS={columns}", $"THREADS={threads}")).Launch(
            (rows, 1, 1), threads, 0, stream, [(nint)(&x), (nint)(&y), (nint)(&scales)]);
    }
}
