using System.Runtime.InteropServices;

namespace NablaGen.Attention;

/// <summary>
/// One matrix of one head (queries, keys, values or the output's gradient) in blocks padded with zeros to 64 rows and to widths of 16
/// floats, both as it lies and transposed: every matrix stands on either side of some product of the backward pass.
/// </summary>
internal sealed unsafe class PackedBlocks : IDisposable
{
    private const int BlockSize = BlockLayout.BlockSize;

    private readonly BlockLayout _layout;
    private readonly int _dim;
    private readonly int _paddedDim;
    private readonly float* _rows;
    private readonly float* _columns;

    /// <summary>Room for a matrix of <paramref name="dim"/> channels.</summary>
    public PackedBlocks(BlockLayout layout, int dim)
    {
        _layout = layout;
        _dim = dim;
        _paddedDim = PackedHead.Pad(dim);
        var count = (nuint)layout.Blocks * BlockSize * (nuint)_paddedDim;
        _rows = PackedHead.Allocate(count);
        _columns = PackedHead.Allocate(count);
    }

    /// <summary>A block. [64, PaddedDim]</summary>
    public float* Rows(int block) => _rows + (nint)block * BlockSize * _paddedDim;

    /// <summary>A block, transposed. [PaddedDim, 64]</summary>
    public float* Columns(int block) => _columns + (nint)block * BlockSize * _paddedDim;

    /// <summary>Takes in a contiguous matrix, times <paramref name="scale"/>. [L, D]</summary>
    public void Pack(float* x, float scale = 1) => Parallel.For(0, _layout.Blocks, CpuThreads.Options, block =>
    {
        var from = x + (nint)_layout.Starts[block] * _dim;
        var rows = Rows(block);
        var columns = Columns(block);
        for (var row = 0; row < _layout.Lengths[block]; row++)
        {
            for (var c = 0; c < _dim; c++)
            {
                var value = from[row * _dim + c] * scale;
                rows[row * _paddedDim + c] = value;
                columns[c * BlockSize + row] = value;
            }
        }
    });

    public void Dispose()
    {
        NativeMemory.AlignedFree(_rows);
        NativeMemory.AlignedFree(_columns);
    }
}
