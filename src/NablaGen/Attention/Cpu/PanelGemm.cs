using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NablaGen.Attention.Cpu;

/// <summary>Products of matrices in panels of 16 columns (<see cref="MatrixLayout"/>), for 256-bit vectors.</summary>
/// <remarks>
/// Six rows of A meet a panel of B: twelve sums, two vectors of B and one of A are fifteen of AVX2's sixteen registers, and twelve sums
/// cover what a sum must wait for the one before it. A panel of B stays in the L1 cache while all rows of A pass.
/// </remarks>
internal static unsafe class PanelGemm
{
    private const int Panel = MatrixLayout.PanelWidth;

    /// <summary>C [rows, columns] = A [rows, depth] · B [depth, columns], or added to C. Rows are rounded up, by 3 at most.</summary>
    public static void Multiply(CpuMatrix a, CpuMatrix b, CpuMatrix c, int rows, int columns, int depth, bool accumulate)
    {
        for (var column = 0; column < columns; column += Panel)
        {
            var panel = b.At(0, column);
            var row = 0;
            // Five rows left are as fast as six.
            for (; row + 5 <= rows; row += 6)
            {
                Tile6(a.At(row, 0), a.Layout.Panel, panel, c.At(row, column), depth, accumulate);
            }

            for (; row < rows; row += 4)
            {
                Tile4(a.At(row, 0), a.Layout.Panel, panel, c.At(row, column), depth, accumulate);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile6(float* a, int panelOfA, float* b, float* c, int depth, bool accumulate)
    {
        Vector256<float> c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default;
        Vector256<float> c30 = default, c31 = default, c40 = default, c41 = default, c50 = default, c51 = default;
        for (; depth > 0; depth -= Panel, a += panelOfA)
        {
            var end = a + Math.Min(depth, Panel);
            for (var x = a; x < end; x++, b += Panel)
            {
                var (b0, b1) = (Vector256.Load(b), Vector256.Load(b + 8));
                var y = Vector256.Create(x[0]);
                c00 = Vector256.FusedMultiplyAdd(y, b0, c00);
                c01 = Vector256.FusedMultiplyAdd(y, b1, c01);
                y = Vector256.Create(x[Panel]);
                c10 = Vector256.FusedMultiplyAdd(y, b0, c10);
                c11 = Vector256.FusedMultiplyAdd(y, b1, c11);
                y = Vector256.Create(x[2 * Panel]);
                c20 = Vector256.FusedMultiplyAdd(y, b0, c20);
                c21 = Vector256.FusedMultiplyAdd(y, b1, c21);
                y = Vector256.Create(x[3 * Panel]);
                c30 = Vector256.FusedMultiplyAdd(y, b0, c30);
                c31 = Vector256.FusedMultiplyAdd(y, b1, c31);
                y = Vector256.Create(x[4 * Panel]);
                c40 = Vector256.FusedMultiplyAdd(y, b0, c40);
                c41 = Vector256.FusedMultiplyAdd(y, b1, c41);
                y = Vector256.Create(x[5 * Panel]);
                c50 = Vector256.FusedMultiplyAdd(y, b0, c50);
                c51 = Vector256.FusedMultiplyAdd(y, b1, c51);
            }
        }

        CpuGemm.Store(c, c00, c01, accumulate);
        CpuGemm.Store(c + Panel, c10, c11, accumulate);
        CpuGemm.Store(c + 2 * Panel, c20, c21, accumulate);
        CpuGemm.Store(c + 3 * Panel, c30, c31, accumulate);
        CpuGemm.Store(c + 4 * Panel, c40, c41, accumulate);
        CpuGemm.Store(c + 5 * Panel, c50, c51, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile4(float* a, int panelOfA, float* b, float* c, int depth, bool accumulate)
    {
        Vector256<float> c00 = default, c01 = default, c10 = default, c11 = default;
        Vector256<float> c20 = default, c21 = default, c30 = default, c31 = default;
        for (; depth > 0; depth -= Panel, a += panelOfA)
        {
            var end = a + Math.Min(depth, Panel);
            for (var x = a; x < end; x++, b += Panel)
            {
                var (b0, b1) = (Vector256.Load(b), Vector256.Load(b + 8));
                var y = Vector256.Create(x[0]);
                c00 = Vector256.FusedMultiplyAdd(y, b0, c00);
                c01 = Vector256.FusedMultiplyAdd(y, b1, c01);
                y = Vector256.Create(x[Panel]);
                c10 = Vector256.FusedMultiplyAdd(y, b0, c10);
                c11 = Vector256.FusedMultiplyAdd(y, b1, c11);
                y = Vector256.Create(x[2 * Panel]);
                c20 = Vector256.FusedMultiplyAdd(y, b0, c20);
                c21 = Vector256.FusedMultiplyAdd(y, b1, c21);
                y = Vector256.Create(x[3 * Panel]);
                c30 = Vector256.FusedMultiplyAdd(y, b0, c30);
                c31 = Vector256.FusedMultiplyAdd(y, b1, c31);
            }
        }

        CpuGemm.Store(c, c00, c01, accumulate);
        CpuGemm.Store(c + Panel, c10, c11, accumulate);
        CpuGemm.Store(c + 2 * Panel, c20, c21, accumulate);
        CpuGemm.Store(c + 3 * Panel, c30, c31, accumulate);
    }
}
