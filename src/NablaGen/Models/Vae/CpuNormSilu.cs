using System.Runtime.Intrinsics;
using NablaGen.Attention;
using NablaGen.Native;
using static TorchSharp.torch;

namespace NablaGen.Models.Vae;

/// <summary>RMSNorm over rows and SiLU on the CPU, float32, 16 columns at a time.</summary>
internal static unsafe class CpuNormSilu
{
    /// <summary>Columns must be a multiple of this.</summary>
    public const int Lanes = 16;

    private const int ElementsAPiece = 1 << 15;

    /// <summary>y = x · √columns / max(‖x‖, 1e-12) · gamma, then y · sigmoid(y) if asked; y may be x.</summary>
    public static void Run(Tensor x, Tensor y, Tensor gamma, long rows, int columns, bool silu)
    {
        float* from = TensorMemory.Floats(x), to = TensorMemory.Floats(y), scale = TensorMemory.Floats(gamma);
        var rowsAPiece = Math.Max(1, ElementsAPiece / columns);
        Parallel.For(0, (rows + rowsAPiece - 1) / rowsAPiece, CpuThreads.Options, piece =>
        {
            var end = Math.Min(rows, (piece + 1) * rowsAPiece);
            for (var row = piece * rowsAPiece; row < end; row++)
            {
                Row(from + row * columns, to + row * columns, scale, columns, silu);
            }
        });
    }

    private static void Row(float* x, float* y, float* gamma, int columns, bool silu)
    {
        var squares = Vector512<float>.Zero;
        for (var i = 0; i < columns; i += Lanes)
        {
            var v = Vector512.Load(x + i);
            squares = Vector512.FusedMultiplyAdd(v, v, squares);
        }

        var inverse = Vector512.Create(MathF.Sqrt(columns) / MathF.Max(MathF.Sqrt(Vector512.Sum(squares)), 1e-12f));
        for (var i = 0; i < columns; i += Lanes)
        {
            var n = Vector512.Load(x + i) * inverse * Vector512.Load(gamma + i);
            (silu ? n / (Vector512<float>.One + Vector512.Exp(-n)) : n).Store(y + i);
        }
    }
}
