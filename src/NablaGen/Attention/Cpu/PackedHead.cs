using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace NablaGen.Attention.Cpu;

/// <summary>
/// One head's tokens as the CPU kernels like them: blocks padded to 64 rows with zeros, widths to 16 floats, queries scaled by 1/√D,
/// keys transposed, all as the vectors in use want it; and the blocks' means.
/// </summary>
internal sealed unsafe class PackedHead : IDisposable
{
    private const int BlockSize = BlockLayout.BlockSize;

    private readonly BlockMatrices _queries;
    private readonly BlockMatrices _keys;
    private readonly BlockMatrices _values;
    private readonly float* _queryMeans;
    private readonly float* _keyMeans;

    /// <summary>Room for one head of <paramref name="dim"/> channels, for vectors of <paramref name="lanes"/> floats.</summary>
    public PackedHead(BlockLayout layout, int dim, int lanes)
    {
        Layout = layout;
        Lanes = lanes;
        Dim = dim;
        PaddedDim = Pad(dim);
        _queries = new BlockMatrices(lanes, layout.Blocks, BlockSize, PaddedDim);
        _keys = new BlockMatrices(lanes, layout.Blocks, PaddedDim, BlockSize);
        _values = new BlockMatrices(lanes, layout.Blocks, BlockSize, PaddedDim);
        _queryMeans = Allocate((nuint)layout.Blocks * (nuint)PaddedDim);
        _keyMeans = Allocate((nuint)layout.Blocks * (nuint)PaddedDim);
    }

    public BlockLayout Layout { get; }

    /// <summary>Floats in the vectors that this is laid out for: 8 or 16.</summary>
    public int Lanes { get; }

    /// <summary>Channels of the head, D in shapes.</summary>
    public int Dim { get; }

    /// <summary>D rounded up to a multiple of 16; the rest is zero.</summary>
    public int PaddedDim { get; }

    /// <summary>A block's queries, scaled by 1/√D. [64, PaddedDim]</summary>
    public CpuMatrix Queries(int block) => _queries[block];

    /// <summary>A block's keys, transposed. [PaddedDim, 64]</summary>
    public CpuMatrix Keys(int block) => _keys[block];

    /// <summary>A block's values. [64, PaddedDim]</summary>
    public CpuMatrix Values(int block) => _values[block];

    /// <summary>The mean of a block's queries, scaled by 1/√D. [PaddedDim]</summary>
    public float* QueryMean(int block) => _queryMeans + (nint)block * PaddedDim;

    /// <summary>The mean of a block's keys. [PaddedDim]</summary>
    public float* KeyMean(int block) => _keyMeans + (nint)block * PaddedDim;

    /// <summary>Takes in a head's contiguous queries, keys and values. Each [L, D]</summary>
    public void Pack(float* q, float* k, float* v)
    {
        var scale = 1 / MathF.Sqrt(Dim);
        Parallel.For(0, Layout.Blocks, CpuThreads.Options, block =>
        {
            var start = Layout.Starts[block];
            var rows = Layout.Lengths[block];
            var offset = (nint)start * Dim;
            _queries.Load(block, q + offset, rows, Dim, scale);
            _keys.LoadTransposed(block, k + offset, rows, Dim, 1);
            _values.Load(block, v + offset, rows, Dim, 1);
            var queryMean = QueryMean(block);
            var keyMean = KeyMean(block);
            Sum(q + offset, rows, Dim, queryMean);
            Sum(k + offset, rows, Dim, keyMean);
            for (var c = 0; c < Dim; c++)
            {
                queryMean[c] *= scale / rows;
                keyMean[c] /= rows;
            }
        });
    }

    public void Dispose()
    {
        _queries.Dispose();
        _keys.Dispose();
        _values.Dispose();
        NativeMemory.AlignedFree(_queryMeans);
        NativeMemory.AlignedFree(_keyMeans);
    }

    /// <summary>A width rounded up to what the products take.</summary>
    internal static int Pad(int dim) => (dim + MatrixLayout.PanelWidth - 1) / MatrixLayout.PanelWidth * MatrixLayout.PanelWidth;

    /// <summary>Floats for a product's operands, all zero.</summary>
    internal static float* Allocate(nuint count)
    {
        var bytes = count * sizeof(float);
        var memory = (float*)NativeMemory.AlignedAlloc(bytes, 64);
        NativeMemory.Clear(memory, bytes);
        return memory;
    }

    // Sums over the rows of a contiguous matrix.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Sum(float* x, int rows, int columns, float* sums)
    {
        new Span<float>(sums, columns).Clear();
        for (var row = 0; row < rows; row++, x += columns)
        {
            var c = 0;
            for (; c + Lanes8.Count <= columns; c += Lanes8.Count)
            {
                (Lanes8.Load(sums + c) + Lanes8.Load(x + c)).Store(sums + c);
            }

            for (; c < columns; c++)
            {
                sums[c] += x[c];
            }
        }
    }
}
