using NablaGen.Files;
using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>Turns stored bytes into tensors; shared by the tensor sources.</summary>
/// <param name="source">The source that it works for.</param>
/// <param name="bytes">Brings an entry's bytes.</param>
internal sealed unsafe class TensorReader(ITensorSource source, TensorReader.ByteSource bytes) : IDisposable
{
    private Tensor? _scratch;

    /// <summary>Brings the stored bytes of an entry in order: pieces of whole elements, at most <see cref="MappedFile.PieceBytes"/> each.</summary>
    public delegate void ByteSource(TensorEntry entry, MappedFile.PieceUser user);

    /// <summary>Expands stored bytes into float32.</summary>
    public delegate void BlockExpander(byte* start, long count, float* values);

    /// <summary>The entry of a key.</summary>
    /// <exception cref="NablaGenException">There is none.</exception>
    public static TensorEntry Find(ITensorSource source, string name) =>
        source.Entries.TryGetValue(name, out var entry)
            ? entry
            : throw new NablaGenException($"{source.Path}: has no tensor {Line.Key(name)}; it has {source.Entries.Count} others.");

    /// <summary>As <see cref="ITensorSource.Read"/>.</summary>
    public Tensor Read(string name)
    {
        var entry = Find(source, name);
        var tensor = empty(entry.Shape, dtype: entry.Type.ToScalarType(), device: CPU);
        try
        {
            Fill(entry, tensor);
            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    /// <summary>As <see cref="ITensorSource.CopyTo"/>.</summary>
    public void CopyTo(string name, Tensor target)
    {
        var entry = Find(source, name);
        if (!target.shape.AsSpan().SequenceEqual(entry.Shape))
        {
            throw new NablaGenException($"{source.FileOf(name)}: tensor {Line.Key(name)} has the wrong shape: "
                + $"expected {Line.Shape(target.shape)}, found {Line.Shape(entry.Shape)}.");
        }

        if (target.is_meta)
        {
            throw new ArgumentException($"The target of \"{name}\" is on the meta device: it has no memory to read into.", nameof(target));
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        if (!target.is_contiguous())
        {
            target.copy_(Read(name));
        }
        else if (target.dtype == entry.Type.ToScalarType() && target.device_type == TorchSharp.DeviceType.CPU)
        {
            Fill(entry, target, isWeight: true);
        }
        else
        {
            Convert(entry, target.detach().view(-1));
        }
    }

    /// <summary>As <see cref="ITensorSource.FindStored"/>: the 8-bit floats.</summary>
    public StoredNumbers? FindStored(string name)
    {
        var entry = Find(source, name);
        return entry.Type.IsFloat8() ? Stored(entry, entry.Type == StoredType.F8_E4M3 ? StoredNumbers.E4M3 : StoredNumbers.E5M2, bytes, Expand(entry.Type)) : null;
    }

    /// <summary>An entry's bytes as they are, and how they are expanded.</summary>
    public static StoredNumbers Stored(TensorEntry entry, string format, ByteSource bytes, BlockExpander expand) => new(
        format, entry.ByteCount, target => CopyBytes(entry, bytes, target),
        (from, to) => TensorMemory.Use(from, (start, count) => expand(start, count, TensorMemory.Floats(to))));

    // Numbers of a byte each.
    private static BlockExpander Expand(StoredType type) => (start, count, values) =>
    {
        var table = Float8.Values(type);
        for (long i = 0; i < count; i++)
        {
            values[i] = table[start[i]];
        }
    };

    /// <summary>Frees the memory that conversions go through.</summary>
    public void Dispose() => _scratch?.Dispose();

    // Straight into the tensor's memory.
    private void Fill(TensorEntry entry, Tensor tensor, bool isWeight = false) => TensorMemory.Use(tensor, (target, _) =>
    {
        var width = tensor.element_size() / entry.Type.Size();
        MappedFile.PieceUser fill = (start, count, done) => Decode(entry.Type, start, count, target + (done * width));
        bytes(entry, isWeight ? ZeroGap.Watch(source, entry, fill) : fill);
    });

    // A piece at a time through one scratch tensor, kept for the next call: a temporary a call, freed, is memory that glibc
    // before 2.38 doesn't use again for the next aligned one, and a model would take its size in temporaries too.
    private void Convert(TensorEntry entry, Tensor target)
    {
        var type = entry.Type.ToScalarType();
        if (_scratch is null || _scratch.dtype != type)
        {
            _scratch?.Dispose();
            _scratch = empty(MappedFile.PieceBytes / entry.Type.Size(), dtype: type, device: CPU).DetachFromDisposeScope();
        }

        bytes(entry, ZeroGap.Watch(source, entry, (start, count, done) =>
        {
            using var scope = NewDisposeScope();
            var length = count / entry.Type.Size();
            var piece = _scratch.narrow(0, 0, length);
            TensorMemory.Use(piece, (memory, _) => Decode(entry.Type, start, count, memory));
            target.narrow(0, done / entry.Type.Size(), length).copy_(piece);
        }));
    }

    private static void CopyBytes(TensorEntry entry, ByteSource bytes, Tensor target)
    {
        if (target.dtype != ScalarType.Byte || target.NumberOfElements != entry.ByteCount)
        {
            throw new ArgumentException($"\"{entry.Name}\" has {entry.ByteCount} bytes, and the target {target.NumberOfElements} elements of {target.dtype}", nameof(target));
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        if (target.device_type == TorchSharp.DeviceType.CPU)
        {
            TensorMemory.Use(target, (memory, _) => bytes(entry, (start, count, done) => Buffer.MemoryCopy(start, memory + done, count, count)));
            return;
        }

        var (flat, scratch) = (target.detach().view(-1), empty(MappedFile.PieceBytes, dtype: ScalarType.Byte, device: CPU));
        bytes(entry, (start, count, done) =>
        {
            using var inner = NewDisposeScope();
            var piece = scratch.narrow(0, 0, count);
            TensorMemory.Use(piece, (memory, _) => Buffer.MemoryCopy(start, memory, count, count));
            flat.narrow(0, done, count).copy_(piece);
        });
    }

    private static void Decode(StoredType type, byte* source, long count, byte* target)
    {
        if (!type.IsFloat8())
        {
            Buffer.MemoryCopy(source, target, count, count);
            return;
        }

        fixed (ushort* values = Float8.BFloat16Values(type))
        {
            for (long i = 0; i < count; i++)
            {
                ((ushort*)target)[i] = values[source[i]];
            }
        }
    }
}
