using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>Rows of numbers to fp8 (E4M3) with a scale each. Contract: quantize_rows.cu.</summary>
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
    /// <param name="gelu">Whether the rows are those of GELU(x), tanh form.</param>
    /// <param name="stream">The stream.</param>
    public void Run(nint x, nint y, nint scales, ElementType type, int rows, int columns, bool gelu = false, nint stream = 0) =>
        Run(x, y, scales, rows, columns, FusedOp.Macros(type, gelu ? ["GELU"] : []), stream);

    /// <summary>The same for float32 [rows, columns].</summary>
    public void RunFloat32(nint x, nint y, nint scales, int rows, int columns, nint stream = 0) => Run(x, y, scales, rows, columns, ["FLOAT32"], stream);

    private unsafe void Run(nint x, nint y, nint scales, int rows, int columns, string[] macros, nint stream)
    {
        FusedOp.RequireFp8(device);
        FusedOp.RequireRows(rows, columns);
        FusedOp.RequireAligned([x, y, scales]);
        if (columns % 16 != 0)
        {
            throw new ArgumentException($"{columns} columns; rows are quantised in pieces of 16.");
        }

        var threads = FusedOp.Threads(columns / 8, MostThreads);
        device.Kernel("quantize_rows", [.. macros, $"COLUMNS={columns}", $"THREADS={threads}"]).Launch(
            (rows, 1, 1), threads, 0, stream, [(nint)(&x), (nint)(&y), (nint)(&scales)]);
    }
}
