using System.Runtime.CompilerServices;

namespace NablaGen.Attention.Cpu;

/// <summary>
/// How a matrix lies in memory: in panels of 16 columns, from a panel to the next <paramref name="Panel"/> floats, inside it from a row to
/// the next <paramref name="Row"/>. Plain row-major order is the case where a panel begins 16 floats after the one before.
/// </summary>
/// <param name="Row">Floats from a row to the next.</param>
/// <param name="Panel">Floats from a panel to the next.</param>
/// <param name="Floats">Room that the matrix takes.</param>
internal readonly record struct MatrixLayout(int Row, int Panel, int Floats)
{
    /// <summary>Columns of a panel; a matrix has a multiple of them.</summary>
    public const int PanelWidth = 16;

    /// <summary>The layout that the products of a width want.</summary>
    /// <param name="lanes">16: row-major. 8: whole panels one after the other.</param>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Columns, a multiple of 16.</param>
    /// <remarks>
    /// In a panel whatever a product touches lies together, on either side and in the result: with rows of 256 or 512 bytes it
    /// would be a cache line here and there, all competing for the same few places of a small L1 cache. A spare line after each panel keeps
    /// the parts of one row from competing as well.
    /// </remarks>
    public static MatrixLayout Of(int lanes, int rows, int columns)
    {
        if (lanes == Lanes16.Count)
        {
            return new(columns, PanelWidth, rows * columns);
        }

        var panel = (rows + 1) * PanelWidth;
        return new(PanelWidth, panel, panel * (columns / PanelWidth));
    }

    /// <summary>Where an element lies.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public nint Offset(int row, int column) => (nint)row * Row + (nint)((uint)column / PanelWidth) * Panel + (nint)((uint)column % PanelWidth);
}
