using System.Runtime.InteropServices;

namespace NablaGen.Attention.Cpu;

/// <summary>A matrix for each block of tokens, all of one shape, in memory of their own that nothing clears.</summary>
internal sealed unsafe class BlockMatrices(int lanes, int blocks, int rows, int columns) : IDisposable
{
    private readonly MatrixLayout _layout = MatrixLayout.Of(lanes, rows, columns);
    private readonly float* _data = (float*)NativeMemory.AlignedAlloc(
        (nuint)blocks * (nuint)MatrixLayout.Of(lanes, rows, columns).Floats * sizeof(float), 64);

    /// <summary>A block's matrix. [rows, columns]</summary>
    public CpuMatrix this[int block] => new(_data + (nint)block * _layout.Floats, _layout);

    /// <summary>Takes in a block's row-major matrix [height, width], times <paramref name="scale"/>; the rest of the block's becomes zero.</summary>
    public void Load(int block, float* from, int height, int width, float scale)
    {
        ClearUnlessFull(block, height, width);
        this[block].Load(from, height, width, scale);
    }

    /// <summary>The same, transposed: to [width, height].</summary>
    public void LoadTransposed(int block, float* from, int height, int width, float scale)
    {
        ClearUnlessFull(block, width, height);
        this[block].LoadTransposed(from, height, width, scale);
    }

    public void Dispose() => NativeMemory.AlignedFree(_data);

    private void ClearUnlessFull(int block, int height, int width)
    {
        if (height < rows || width < columns)
        {
            this[block].Clear();
        }
    }
}
