using System.Runtime.InteropServices;

namespace NablaGen.Attention;

/// <summary>
/// One head's tokens as the CPU kernels like them: blocks padded to 64 rows with zeros, widths to 16 floats, queries scaled by 1/√D,
/// keys transposed; and the blocks' means.
/// </summary>
internal sealed unsafe class PackedHead : IDisposable
{
    private const int Lane = 16;
    private const int BlockSize = BlockLayout.BlockSize;

    private readonly float* _queries;
    private readonly float* _keys;
    private readonly float* _values;
    private readonly float* _queryMeans;
    private readonly float* _keyMeans;

    /// <summary>Room for one head of <paramref name="dim"/> channels.</summary>
    public PackedHead(BlockLayout layout, int dim)
    {
        Layout = layout;
        Dim = dim;
        PaddedDim = Pad(dim);
        _queries = Allocate((nuint)layout.Blocks * BlockSize * (nuint)PaddedDim);
        _keys = Allocate((nuint)layout.Blocks * BlockSize * (nuint)PaddedDim);
        _values = Allocate((nuint)layout.Blocks * BlockSize * (nuint)PaddedDim);
        _queryMeans = Allocate((nuint)layout.Blocks * (nuint)PaddedDim);
        _keyMeans = Allocate((nuint)layout.Blocks * (nuint)PaddedDim);
    }

    public BlockLayout Layout { get; }

    /// <summary>Channels of the head, D in shapes.</summary>
    public int Dim { get; }

    /// <summary>D rounded up to a multiple of 16; the rest is zero.</summary>
    public int PaddedDim { get; }

    /// <summary>A block's queries, scaled by 1/√D. [64, PaddedDim]</summary>
    public float* Queries(int block) => _queries + (nint)block * BlockSize * PaddedDim;

    /// <summary>A block's keys, transposed. [PaddedDim, 64]</summary>
    public float* Keys(int block) => _keys + (nint)block * BlockSize * PaddedDim;

    /// <summary>A block's values. [64, PaddedDim]</summary>
    public float* Values(int block) => _values + (nint)block * BlockSize * PaddedDim;

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
            var queries = Queries(block);
            var keys = Keys(block);
            var values = Values(block);
            var queryMean = QueryMean(block);
            var keyMean = KeyMean(block);
            new Span<float>(queryMean, PaddedDim).Clear();
            new Span<float>(keyMean, PaddedDim).Clear();
            for (var row = 0; row < rows; row++)
            {
                var from = offset + row * Dim;
                for (var c = 0; c < Dim; c++)
                {
                    queries[row * PaddedDim + c] = q[from + c] * scale;
                    keys[c * BlockSize + row] = k[from + c];
                    values[row * PaddedDim + c] = v[from + c];
                    queryMean[c] += q[from + c];
                    keyMean[c] += k[from + c];
                }
            }

            for (var c = 0; c < Dim; c++)
            {
                queryMean[c] *= scale / rows;
                keyMean[c] /= rows;
            }
        });
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_queries);
        NativeMemory.AlignedFree(_keys);
        NativeMemory.AlignedFree(_values);
        NativeMemory.AlignedFree(_queryMeans);
        NativeMemory.AlignedFree(_keyMeans);
    }

    /// <summary>A width rounded up to what the products take.</summary>
    internal static int Pad(int dim) => (dim + Lane - 1) / Lane * Lane;

    /// <summary>Floats for a product's operands, all zero.</summary>
    internal static float* Allocate(nuint count)
    {
        var bytes = count * sizeof(float);
        var memory = (float*)NativeMemory.AlignedAlloc(bytes, 64);
        NativeMemory.Clear(memory, bytes);
        return memory;
    }
}
