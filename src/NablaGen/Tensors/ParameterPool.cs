using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>
/// The memory of a module's parameters in one piece a type, so that a whole module is copied at once. Two modules of the same sizes, made
/// with a pool each, have each parameter at the same place.
/// </summary>
internal sealed class ParameterPool : IDisposable
{
    private const long Alignment = 256;

    private readonly Dictionary<ScalarType, Piece> _pieces = [];

    private ParameterPool()
    {
    }

    /// <summary>A pool as large as a module's parameters.</summary>
    /// <param name="module">A module of those sizes and types; it may be on the meta device.</param>
    /// <param name="device">Where the memory is. On the CPU each piece has pages of its own, so that it can be pinned.</param>
    public static ParameterPool For(nn.Module module, Device device)
    {
        var pool = new ParameterPool();
        try
        {
            foreach (var group in module.parameters().GroupBy(parameter => parameter.dtype))
            {
                var bytes = group.Sum(parameter => Padded(parameter.NumberOfElements * parameter.element_size()));
                pool._pieces.Add(group.Key, new Piece(bytes, group.Key, device));
            }

            return pool;
        }
        catch
        {
            pool.Dispose();
            throw;
        }
    }

    /// <summary>The pieces by type: address and whole bytes (on the CPU whole pages).</summary>
    public IEnumerable<(ScalarType Type, nint Start, long Bytes)> Pieces => _pieces.Select(piece => (piece.Key, piece.Value.Start, piece.Value.Bytes));

    /// <summary>Copies all that another pool of the same sizes holds.</summary>
    public void CopyFrom(ParameterPool other)
    {
        foreach (var (type, piece) in _pieces)
        {
            piece.CopyFrom(other._pieces[type]);
        }
    }

    /// <summary>One of about equal parts of this pool's parameters, copied.</summary>
    /// <param name="index">Which, from 0.</param>
    /// <param name="count">Of how many.</param>
    /// <param name="device">Where the copy is.</param>
    public ParameterPool Part(int index, int count, Device device)
    {
        var pool = new ParameterPool();
        try
        {
            using var scope = NewDisposeScope();
            foreach (var (type, piece) in _pieces)
            {
                var part = piece.Part(index, count);
                var copy = new Piece(part.numel() * part.element_size(), type, device);
                pool._pieces.Add(type, copy);
                copy.Take([part.numel()]).copy_(part);
            }

            return pool;
        }
        catch
        {
            pool.Dispose();
            throw;
        }
    }

    /// <summary>What each of such parts of this pool's parameters is: views by type. Part 0 of 1 is all.</summary>
    /// <param name="index">Which, from 0.</param>
    /// <param name="count">Of how many.</param>
    public IReadOnlyDictionary<ScalarType, Tensor> Views(int index, int count) => _pieces.ToDictionary(piece => piece.Key, piece => piece.Value.Part(index, count));

    /// <summary>The next parameter's place, unfilled. Valid as long as the pool.</summary>
    public Tensor Take(long[] shape, ScalarType type) => _pieces[type].Take(shape);

    /// <summary>Frees the memory; modules in it must be disposed of, or not used again.</summary>
    public void Dispose()
    {
        foreach (var piece in _pieces.Values)
        {
            piece.Dispose();
        }
    }

    private static long Padded(long bytes, long step = Alignment) => (bytes + step - 1) / step * step;

    private sealed class Piece : IDisposable
    {
        private readonly Tensor _memory;
        private readonly long _size;
        private readonly long _first;
        private long _used;

        public Piece(long bytes, ScalarType type, Device device)
        {
            _size = type.ElementSize();
            var page = device.type == DeviceType.CPU ? Environment.SystemPageSize : Alignment;
            Bytes = Padded(bytes, page);
            _memory = empty([(Bytes + page) / _size], type, device).DetachFromDisposeScope();
            var address = TensorMemory.Address(_memory);
            Start = (nint)Padded(address, page);
            _first = (Start - address) / _size;
        }

        public nint Start { get; }

        public long Bytes { get; }

        public Tensor Take(long[] shape)
        {
            using var scope = NewDisposeScope();
            var elements = shape.Aggregate(1L, (product, side) => product * side);
            var place = _memory.narrow(0, _first + _used / _size, elements).view(shape);
            _used += Padded(elements * _size);
            return place.MoveToOuterDisposeScope();
        }

        public Tensor Part(int index, int count)
        {
            // In steps of what each parameter is padded to, so that a part is padded already.
            var (from, to) = (index * (_used / Alignment) / count * Alignment / _size, (index + 1) * (_used / Alignment) / count * Alignment / _size);
            return _memory.narrow(0, _first + from, to - from);
        }

        public void CopyFrom(Piece other)
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            var elements = _used / _size;
            _memory.narrow(0, _first, elements).copy_(other._memory.narrow(0, other._first, elements));
        }

        public void Dispose() => _memory.Dispose();
    }
}
