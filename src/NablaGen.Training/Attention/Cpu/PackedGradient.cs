using System.Runtime.InteropServices;
using NablaGen.Attention;
using NablaGen.Attention.Cpu;

namespace NablaGen.Training.Attention.Cpu;

/// <summary>
/// One head as the backward pass likes it: queries scaled by 1/√D, keys, values and the output's gradient in blocks, and two numbers a
/// query: the log-sum-exp of its scores and the product of its output with the output's gradient.
/// </summary>
internal sealed unsafe class PackedGradient : IDisposable
{
    private const int BlockSize = BlockLayout.BlockSize;

    private readonly float* _logSumExp;
    private readonly float* _products;

    /// <summary>Room for one head of <paramref name="dim"/> channels, for vectors of <paramref name="lanes"/> floats.</summary>
    public PackedGradient(BlockLayout layout, int dim, int lanes)
    {
        Layout = layout;
        Lanes = lanes;
        Dim = dim;
        PaddedDim = PackedHead.Pad(dim);
        Scale = 1 / MathF.Sqrt(dim);
        Queries = new PackedBlocks(layout, dim, lanes);
        Keys = new PackedBlocks(layout, dim, lanes);
        Values = new PackedBlocks(layout, dim, lanes);
        Gradients = new PackedBlocks(layout, dim, lanes);
        _logSumExp = PackedHead.Allocate((nuint)layout.Blocks * BlockSize);
        _products = PackedHead.Allocate((nuint)layout.Blocks * BlockSize);
    }

    public BlockLayout Layout { get; }

    /// <summary>Floats in the vectors that this is laid out for: 8 or 16.</summary>
    public int Lanes { get; }

    /// <summary>Channels of the head, D in shapes.</summary>
    public int Dim { get; }

    /// <summary>D rounded up to a multiple of 16.</summary>
    public int PaddedDim { get; }

    /// <summary>1/√D.</summary>
    public float Scale { get; }

    /// <summary>Queries times <see cref="Scale"/>.</summary>
    public PackedBlocks Queries { get; }

    public PackedBlocks Keys { get; }

    public PackedBlocks Values { get; }

    /// <summary>The output's gradient.</summary>
    public PackedBlocks Gradients { get; }

    /// <summary>A query block's log-sum-exps. [64]</summary>
    public float* LogSumExp(int block) => _logSumExp + (nint)block * BlockSize;

    /// <summary>A query block's sums of output times gradient. [64]</summary>
    public float* Products(int block) => _products + (nint)block * BlockSize;

    /// <summary>Takes in a head's contiguous matrices, each [L, D], and its log-sum-exps [L].</summary>
    public void Pack(float* q, float* k, float* v, float* output, float* gradient, float* logSumExp)
    {
        Queries.Pack(q, Scale);
        Keys.Pack(k);
        Values.Pack(v);
        Gradients.Pack(gradient);
        Parallel.For(0, Layout.Blocks, CpuThreads.Options, block =>
        {
            var start = Layout.Starts[block];
            for (var row = 0; row < Layout.Lengths[block]; row++)
            {
                var from = (nint)(start + row) * Dim;
                float sum = 0;
                for (var c = 0; c < Dim; c++)
                {
                    sum += output[from + c] * gradient[from + c];
                }

                Products(block)[row] = sum;
                LogSumExp(block)[row] = logSumExp[start + row];
            }
        });
    }

    public void Dispose()
    {
        Queries.Dispose();
        Keys.Dispose();
        Values.Dispose();
        Gradients.Dispose();
        NativeMemory.AlignedFree(_logSumExp);
        NativeMemory.AlignedFree(_products);
    }
}
