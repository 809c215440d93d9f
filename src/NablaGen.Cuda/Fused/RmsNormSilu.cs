using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>
/// RMSNorm over the channels of each pixel and SiLU, in one pass, in float32 between. Contract: rms_norm_silu.cu. Port of
/// RMS_norm and the SiLU after it, wan/modules/vae.py.
/// </summary>
/// <param name="device">Where it runs.</param>
public sealed class RmsNormSilu(CudaDevice device)
{
    /// <summary>The widest row: a warp holds it in registers.</summary>
    public const int MostColumns = 1024;

    private const int PiecesALane = 4;

    /// <summary>Puts y = x · √columns / max(‖x‖, 1e-12) · gamma, then SiLU of it if asked, on the stream.</summary>
    /// <param name="x">Device address. [rows, columns], contiguous.</param>
    /// <param name="y">Device address of the result; may be x.</param>
    /// <param name="type">Type of both; null for float32.</param>
    /// <param name="rows">Pixels.</param>
    /// <param name="columns">Channels, a multiple of 8 and at most <see cref="MostColumns"/>.</param>
    /// <param name="gamma">Device address of float32 [columns].</param>
    /// <param name="silu">Whether SiLU follows.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(nint x, nint y, ElementType? type, long rows, int columns, nint gamma, bool silu, nint stream = 0)
    {
        if (rows < 1 || columns is < 8 or > MostColumns || columns % 8 != 0)
        {
            throw new ArgumentException($"{rows} rows of {columns} columns; at least one row, and columns a multiple of 8 up to {MostColumns}.");
        }

        FusedOp.RequireAligned([x, y, gamma]);
        var lanes = Lanes(columns);
        string[] macros = [$"COLUMNS={columns}", $"LANES={lanes}", $"SILU={(silu ? 1 : 0)}"];
        device.Kernel("rms_norm_silu", type is { } sixteen ? FusedOp.Macros(sixteen, macros) : ["FLOAT32", .. macros]).Launch(
            (FusedOp.WalkGrid(device, rows * lanes), 1, 1), FusedOp.WalkThreads, 0, stream,
            [(nint)(&x), (nint)(&y), (nint)(&gamma), (nint)(&rows)]);
    }

    /// <summary>The fewest lanes, a power of two, that hold a row in four pieces of eight columns each; 32 for rows too wide for that.</summary>
    internal static int Lanes(int columns)
    {
        var lanes = 1;
        while (lanes < 32 && lanes * PiecesALane < columns / 8)
        {
            lanes *= 2;
        }

        return lanes;
    }
}
