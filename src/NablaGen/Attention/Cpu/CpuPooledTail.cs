using System.Runtime.InteropServices;

namespace NablaGen.Attention.Cpu;

/// <summary>The pooled term of each query block of one head: see <see cref="PooledTail"/>. Room for one head at a time.</summary>
internal sealed unsafe class CpuPooledTail : IDisposable
{
    private readonly PackedHead _head;
    private readonly float* _valueMeans;
    private readonly float* _keys;
    private readonly float* _values;
    private readonly float[] _offsets;
    private readonly float[] _sizes;

    /// <summary>Room for the terms of a head.</summary>
    /// <param name="head">Where the head's tokens will be packed.</param>
    public CpuPooledTail(PackedHead head)
    {
        _head = head;
        var floats = (nuint)head.Layout.Blocks * (nuint)head.PaddedDim;
        _valueMeans = PackedHead.Allocate(floats);
        _keys = PackedHead.Allocate(floats);
        _values = PackedHead.Allocate(floats);
        _offsets = new float[head.Layout.Blocks];
        _sizes = [.. head.Layout.Lengths.ToArray().Select(tokens => MathF.Log(tokens))];
    }

    /// <summary>What a query's product with <see cref="Key"/> lacks to its logit; −∞ where the block drops nothing.</summary>
    public float Offset(int block) => _offsets[block];

    /// <summary>The term's key. [PaddedDim]</summary>
    public float* Key(int block) => _keys + (nint)block * _head.PaddedDim;

    /// <summary>The term's value. [PaddedDim]</summary>
    public float* Value(int block) => _values + (nint)block * _head.PaddedDim;

    /// <summary>Makes the terms of the packed head.</summary>
    /// <param name="rowStarts">Where each query block's list of kept blocks starts. [Blocks + 1]</param>
    /// <param name="keyBlocks">The lists, ascending.</param>
    public void Build(int[] rowStarts, int[] keyBlocks)
    {
        if (_head.Lanes == Lanes16.Count)
        {
            Build<Lanes16>(rowStarts, keyBlocks);
        }
        else
        {
            Build<Lanes8>(rowStarts, keyBlocks);
        }
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_valueMeans);
        NativeMemory.AlignedFree(_keys);
        NativeMemory.AlignedFree(_values);
    }

    private void Build<T>(int[] rowStarts, int[] keyBlocks)
        where T : struct, ILanes<T>
    {
        var blocks = _head.Layout.Blocks;
        Parallel.For(0, blocks, CpuThreads.Options, MeanOfValues<T>);
        Parallel.For(0, blocks, CpuThreads.Options, () => new float[blocks], (block, _, weights) =>
        {
            Term<T>(block, keyBlocks.AsSpan(rowStarts[block]..rowStarts[block + 1]), weights);
            return weights;
        }, _ => { });
    }

    private void MeanOfValues<T>(int block)
        where T : struct, ILanes<T>
    {
        var (rows, values) = (_head.Layout.Lengths[block], _head.Values(block));
        var inverse = T.All(1f / rows);
        for (var column = 0; column < _head.PaddedDim; column += T.Count)
        {
            var sum = T.All(0);
            for (var row = 0; row < rows; row++)
            {
                sum += T.Load(values.At(row, column));
            }

            (sum * inverse).Store(_valueMeans + (nint)block * _head.PaddedDim + column);
        }
    }

    private void Term<T>(int block, ReadOnlySpan<int> kept, float[] weights)
        where T : struct, ILanes<T>
    {
        var (blocks, width) = (_head.Layout.Blocks, _head.PaddedDim);
        var query = _head.QueryMean(block);
        if (kept.Length == blocks)
        {
            _offsets[block] = float.NegativeInfinity;
            return;
        }

        Array.Clear(weights);
        foreach (var j in kept)
        {
            weights[j] = float.NegativeInfinity;
        }

        var max = float.NegativeInfinity;
        for (var j = 0; j < blocks; j++)
        {
            if (weights[j] == 0)
            {
                // The packed queries carry the 1/√D already.
                weights[j] = CpuGemm.Dot<T>(query, _head.KeyMean(j), width) + _sizes[j];
                max = Math.Max(max, weights[j]);
            }
        }

        var key = Key(block);
        var value = Value(block);
        new Span<float>(key, width).Clear();
        new Span<float>(value, width).Clear();
        float total = 0;
        for (var j = 0; j < blocks; j++)
        {
            if (!float.IsNegativeInfinity(weights[j]))
            {
                var weight = MathF.Exp(weights[j] - max);
                total += weight;
                Add<T>(key, _head.KeyMean(j), weight, width);
                Add<T>(value, _valueMeans + (nint)j * width, weight, width);
            }
        }

        var inverse = T.All(1 / total);
        for (var column = 0; column < width; column += T.Count)
        {
            (T.Load(key + column) * inverse).Store(key + column);
            (T.Load(value + column) * inverse).Store(value + column);
        }

        _offsets[block] = max + MathF.Log(total) - CpuGemm.Dot<T>(query, key, width);
    }

    private static void Add<T>(float* sum, float* x, float weight, int width)
        where T : struct, ILanes<T>
    {
        var factor = T.All(weight);
        for (var column = 0; column < width; column += T.Count)
        {
            T.MultiplyAdd(factor, T.Load(x + column), T.Load(sum + column)).Store(sum + column);
        }
    }
}
