using NablaGen.Attention;
using NablaGen.Attention.Cpu;

namespace NablaGen.Training.Attention.Cpu;

/// <summary>
/// One matrix of one head (queries, keys, values or the output's gradient) in blocks padded with zeros to 64 rows and to widths of 16
/// floats, both as it is and transposed: every matrix stands on either side of some product of the backward pass.
/// </summary>
internal sealed unsafe class PackedBlocks : IDisposable
{
    private const int BlockSize = BlockLayout.BlockSize;

    private readonly BlockLayout _layout;
    private readonly int _dim;
    private readonly BlockMatrices _rows;
    private readonly BlockMatrices _columns;

    /// <summary>Room for a matrix of <paramref name="dim"/> channels, for vectors of <paramref name="lanes"/> floats.</summary>
    public PackedBlocks(BlockLayout layout, int dim, int lanes)
    {
        _layout = layout;
        _dim = dim;
        _rows = new BlockMatrices(lanes, layout.Blocks, BlockSize, PackedHead.Pad(dim));
        _columns = new BlockMatrices(lanes, layout.Blocks, PackedHead.Pad(dim), BlockSize);
    }

    /// <summary>A block. [64, PaddedDim]</summary>
    public CpuMatrix Rows(int block) => _rows[block];

    /// <summary>A block, transposed. [PaddedDim, 64]</summary>
    public CpuMatrix Columns(int block) => _columns[block];

    /// <summary>Takes in a contiguous matrix, times <paramref name="scale"/>. [L, D]</summary>
    public void Pack(float* x, float scale = 1) => Parallel.For(0, _layout.Blocks, CpuThreads.Options, block =>
    {
        var from = x + (nint)_layout.Starts[block] * _dim;
        _rows.Load(block, from, _layout.Lengths[block], _dim, scale);
        _columns.LoadTransposed(block, from, _layout.Lengths[block], _dim, scale);
    });

    public void Dispose()
    {
        _rows.Dispose();
        _columns.Dispose();
    }
}
