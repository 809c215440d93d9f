using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NablaGen.Attention.Cpu;

/// <summary>Small float32 matrix products from registers: C = A B or C += A B, with B's columns a multiple of 16.</summary>
/// <remarks>
/// Here for 512-bit vectors, row-major: four rows of A meet 64 columns of B (four registers), or 16 where fewer are left, so that each
/// element loaded is used several times. For 256-bit ones see <see cref="PanelGemm"/>. An element's products are summed in the same order
/// in both, so that they give the same bits. docs/performance.md has what the attention reaches with them.
/// </remarks>
internal static unsafe class CpuGemm
{
    private const int RowsAtOnce = 4;

    /// <summary>Sum of the products of two vectors whose length is a multiple of 16.</summary>
    public static float Dot<T>(float* a, float* b, int length)
        where T : struct, ILanes<T>
    {
        var sum = T.All(0);
        for (var i = 0; i < length; i += T.Count)
        {
            sum = T.MultiplyAdd(T.Load(a + i), T.Load(b + i), sum);
        }

        return T.Sum(sum);
    }

    /// <summary>C [rows, columns] = A [rows, depth] · B [depth, columns], or added to C. All lie as <typeparamref name="T"/>'s width wants it.</summary>
    /// <param name="a">A; rows are rounded up, by 3 at most, so the memory must reach that far.</param>
    /// <param name="b">B.</param>
    /// <param name="c">C; rows are rounded up as A's.</param>
    /// <param name="rows">Rows of A and C.</param>
    /// <param name="columns">Columns of B and C, a multiple of 16.</param>
    /// <param name="depth">Columns of A, rows of B.</param>
    /// <param name="accumulate">Whether to add to C.</param>
    public static void Multiply<T>(CpuMatrix a, CpuMatrix b, CpuMatrix c, int rows, int columns, int depth, bool accumulate)
        where T : struct, ILanes<T>
    {
        if (T.Count == Lanes16.Count)
        {
            Multiply(a.Data, a.Layout.Row, b.Data, b.Layout.Row, c.Data, c.Layout.Row, rows, columns, depth, accumulate);
        }
        else
        {
            PanelGemm.Multiply(a, b, c, rows, columns, depth, accumulate);
        }
    }

    private static void Multiply(float* a, int lda, float* b, int ldb, float* c, int ldc, int rows, int columns, int depth, bool accumulate)
    {
        for (var row = 0; row < rows; row += RowsAtOnce)
        {
            var column = 0;
            for (; column + 64 <= columns; column += 64)
            {
                Tile64(a + row * lda, lda, b + column, ldb, c + row * ldc + column, ldc, depth, accumulate);
            }

            for (; column < columns; column += 16)
            {
                Tile16(a + row * lda, lda, b + column, ldb, c + row * ldc + column, ldc, depth, accumulate);
            }
        }
    }

    // 4 × 64: sixteen 512-bit sums.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile64(float* a, int lda, float* b, int ldb, float* c, int ldc, int depth, bool accumulate)
    {
        Vector512<float> c00 = default, c01 = default, c02 = default, c03 = default;
        Vector512<float> c10 = default, c11 = default, c12 = default, c13 = default;
        Vector512<float> c20 = default, c21 = default, c22 = default, c23 = default;
        Vector512<float> c30 = default, c31 = default, c32 = default, c33 = default;
        var a1 = a + lda;
        var a2 = a + 2 * lda;
        var a3 = a + 3 * lda;
        for (var k = 0; k < depth; k++)
        {
            var (b0, b1, b2, b3) = (Vector512.Load(b), Vector512.Load(b + 16), Vector512.Load(b + 32), Vector512.Load(b + 48));
            b += ldb;
            var x = Vector512.Create(a[k]);
            c00 = Vector512.FusedMultiplyAdd(x, b0, c00);
            c01 = Vector512.FusedMultiplyAdd(x, b1, c01);
            c02 = Vector512.FusedMultiplyAdd(x, b2, c02);
            c03 = Vector512.FusedMultiplyAdd(x, b3, c03);
            x = Vector512.Create(a1[k]);
            c10 = Vector512.FusedMultiplyAdd(x, b0, c10);
            c11 = Vector512.FusedMultiplyAdd(x, b1, c11);
            c12 = Vector512.FusedMultiplyAdd(x, b2, c12);
            c13 = Vector512.FusedMultiplyAdd(x, b3, c13);
            x = Vector512.Create(a2[k]);
            c20 = Vector512.FusedMultiplyAdd(x, b0, c20);
            c21 = Vector512.FusedMultiplyAdd(x, b1, c21);
            c22 = Vector512.FusedMultiplyAdd(x, b2, c22);
            c23 = Vector512.FusedMultiplyAdd(x, b3, c23);
            x = Vector512.Create(a3[k]);
            c30 = Vector512.FusedMultiplyAdd(x, b0, c30);
            c31 = Vector512.FusedMultiplyAdd(x, b1, c31);
            c32 = Vector512.FusedMultiplyAdd(x, b2, c32);
            c33 = Vector512.FusedMultiplyAdd(x, b3, c33);
        }

        Store(c, c00, c01, c02, c03, accumulate);
        Store(c + ldc, c10, c11, c12, c13, accumulate);
        Store(c + 2 * ldc, c20, c21, c22, c23, accumulate);
        Store(c + 3 * ldc, c30, c31, c32, c33, accumulate);
    }

    // 4 × 16: eight 256-bit sums.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile16(float* a, int lda, float* b, int ldb, float* c, int ldc, int depth, bool accumulate)
    {
        Vector256<float> c00 = default, c01 = default, c10 = default, c11 = default;
        Vector256<float> c20 = default, c21 = default, c30 = default, c31 = default;
        for (var k = 0; k < depth; k++)
        {
            var (b0, b1) = (Vector256.Load(b), Vector256.Load(b + 8));
            b += ldb;
            var x = Vector256.Create(a[k]);
            c00 = Vector256.FusedMultiplyAdd(x, b0, c00);
            c01 = Vector256.FusedMultiplyAdd(x, b1, c01);
            x = Vector256.Create(a[lda + k]);
            c10 = Vector256.FusedMultiplyAdd(x, b0, c10);
            c11 = Vector256.FusedMultiplyAdd(x, b1, c11);
            x = Vector256.Create(a[2 * lda + k]);
            c20 = Vector256.FusedMultiplyAdd(x, b0, c20);
            c21 = Vector256.FusedMultiplyAdd(x, b1, c21);
            x = Vector256.Create(a[3 * lda + k]);
            c30 = Vector256.FusedMultiplyAdd(x, b0, c30);
            c31 = Vector256.FusedMultiplyAdd(x, b1, c31);
        }

        Store(c, c00, c01, accumulate);
        Store(c + ldc, c10, c11, accumulate);
        Store(c + 2 * ldc, c20, c21, accumulate);
        Store(c + 3 * ldc, c30, c31, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, Vector512<float> x0, Vector512<float> x1, Vector512<float> x2, Vector512<float> x3, bool accumulate)
    {
        if (accumulate)
        {
            x0 += Vector512.Load(c);
            x1 += Vector512.Load(c + 16);
            x2 += Vector512.Load(c + 32);
            x3 += Vector512.Load(c + 48);
        }

        x0.Store(c);
        x1.Store(c + 16);
        x2.Store(c + 32);
        x3.Store(c + 48);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Store(float* c, Vector256<float> x0, Vector256<float> x1, bool accumulate)
    {
        if (accumulate)
        {
            x0 += Vector256.Load(c);
            x1 += Vector256.Load(c + 8);
        }

        x0.Store(c);
        x1.Store(c + 8);
    }
}
