using System.Runtime.CompilerServices;

namespace NablaGen.Attention.Cpu;

/// <summary>A matrix of float32 in memory that someone else holds.</summary>
/// <param name="data">Its first element.</param>
/// <param name="layout">How its elements lie.</param>
internal readonly unsafe struct CpuMatrix(float* data, MatrixLayout layout)
{
    private const int Panel = MatrixLayout.PanelWidth;

    public float* Data { get; } = data;

    public MatrixLayout Layout { get; } = layout;

    /// <summary>An element; those up to the next column that is a multiple of 16 follow it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float* At(int row, int column) => Data + Layout.Offset(row, column);

    public void Clear() => new Span<float>(Data, Layout.Floats).Clear();

    /// <summary>Takes in a row-major matrix [rows, columns], times <paramref name="scale"/>. What lies past it stays as it is.</summary>
    public void Load(float* from, int rows, int columns, float scale)
    {
        for (var row = 0; row < rows; row++, from += columns)
        {
            for (var column = 0; column < columns; column += Panel)
            {
                Scale(from + column, At(row, column), Math.Min(Panel, columns - column), scale);
            }
        }
    }

    /// <summary>The same, transposed: this becomes [columns, rows].</summary>
    public void LoadTransposed(float* from, int rows, int columns, float scale)
    {
        // Squares of 16 × 16, so that both sides stay in the cache.
        for (var top = 0; top < rows; top += Panel)
        {
            for (var left = 0; left < columns; left += Panel)
            {
                Transpose(
                    from + (nint)top * columns + left, columns, At(left, top), Layout.Row,
                    Math.Min(Panel, rows - top), Math.Min(Panel, columns - left), scale);
            }
        }
    }

    /// <summary>Gives out a row's first columns, times <paramref name="scale"/>. [columns]</summary>
    public void StoreRow(int row, float* to, int columns, float scale)
    {
        for (var column = 0; column < columns; column += Panel)
        {
            Scale(At(row, column), to + column, Math.Min(Panel, columns - column), scale);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(float* from, int fromRow, float* to, int toRow, int rows, int columns, float scale)
    {
        for (var column = 0; column < columns; column++, to += toRow)
        {
            var source = from + column;
            for (var row = 0; row < rows; row++, source += fromRow)
            {
                to[row] = *source * scale;
            }
        }
    }

    private static void Scale(float* from, float* to, int count, float scale)
    {
        if (count == Panel)
        {
            var factor = Lanes8.All(scale);
            (Lanes8.Load(from) * factor).Store(to);
            (Lanes8.Load(from + Lanes8.Count) * factor).Store(to + Lanes8.Count);
            return;
        }

        for (var i = 0; i < count; i++)
        {
            to[i] = from[i] * scale;
        }
    }
}
