using NablaGen.Attention.Cpu;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>RMSNorm over rows and SiLU on the CPU, float32, a register of columns at a time.</summary>
internal static unsafe class CpuNormSilu
{
    /// <summary>Columns must be a multiple of this for either vector width.</summary>
    public const int Lanes = 16;

    private const int ElementsAPiece = 1 << 15;

    /// <summary>y = x · √columns / max(‖x‖, 1e-12) · gamma, then y · sigmoid(y) if asked; y may be x.</summary>
    public static void Run(Tensor x, Tensor y, Tensor gamma, long rows, int columns, bool silu) =>
        Run(x, y, gamma, rows, columns, silu, CpuLanes.Widest);

    /// <summary>The same with vectors of 8 or 16 floats.</summary>
    internal static void Run(Tensor x, Tensor y, Tensor gamma, long rows, int columns, bool silu, int lanes)
    {
        if (CpuLanes.Checked(lanes) == Lanes16.Count)
        {
            Run<Lanes16>(x, y, gamma, rows, columns, silu);
        }
        else
        {
            Run<Lanes8>(x, y, gamma, rows, columns, silu);
        }
    }

    private static void Run<T>(Tensor x, Tensor y, Tensor gamma, long rows, int columns, bool silu)
        where T : struct, ILanes<T>
    {
        float* from = TensorMemory.Floats(x), to = TensorMemory.Floats(y), scale = TensorMemory.Floats(gamma);
        var rowsAPiece = Math.Max(1, ElementsAPiece / columns);
        Parallel.For(0, (rows + rowsAPiece - 1) / rowsAPiece, CpuThreads.Options, piece =>
        {
            var end = Math.Min(rows, (piece + 1) * rowsAPiece);
            for (var row = piece * rowsAPiece; row < end; row++)
            {
                Row<T>(from + row * columns, to + row * columns, scale, columns, silu);
            }
        });
    }

    private static void Row<T>(float* x, float* y, float* gamma, int columns, bool silu)
        where T : struct, ILanes<T>
    {
        var squares = T.All(0);
        for (var i = 0; i < columns; i += T.Count)
        {
            var v = T.Load(x + i);
            squares = T.MultiplyAdd(v, v, squares);
        }

        var inverse = T.All(MathF.Sqrt(columns) / MathF.Max(MathF.Sqrt(T.Sum(squares)), 1e-12f));
        for (var i = 0; i < columns; i += T.Count)
        {
            var n = T.Load(x + i) * inverse * T.Load(gamma + i);
            (silu ? n / (T.All(1) + T.Exp(T.All(0) - n)) : n).Store(y + i);
        }
    }
}
