using static TorchSharp.torch;

namespace NablaGen.Checkpoints;

/// <summary>What the tensor sources share: from stored bytes to tensors.</summary>
internal static unsafe class TensorReader
{
    /// <summary>Brings the stored bytes of an entry, a piece at a time and in order.</summary>
    public delegate void ByteSource(TensorEntry entry, MappedFile.PieceUser user);

    /// <summary>The entry of a key.</summary>
    /// <exception cref="NablaGenException">There is none.</exception>
    public static TensorEntry Find(ITensorSource source, string name) =>
        source.Entries.TryGetValue(name, out var entry)
            ? entry
            : throw new NablaGenException($"{source.Path}: has no tensor {Line.Key(name)}; it has {source.Entries.Count} others.");

    /// <summary>A new CPU tensor of the entry's type and shape with its values.</summary>
    public static Tensor Read(TensorEntry entry, ByteSource bytes)
    {
        var tensor = empty(entry.Shape, dtype: entry.Type.ToScalarType(), device: CPU);
        try
        {
            Fill(tensor, entry, bytes);
            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    /// <summary>Puts the entry's values into a tensor of the same shape.</summary>
    public static void CopyTo(ITensorSource source, TensorEntry entry, Tensor target, ByteSource bytes)
    {
        if (!target.shape.AsSpan().SequenceEqual(entry.Shape))
        {
            throw new NablaGenException($"{source.FileOf(entry.Name)}: tensor {Line.Key(entry.Name)} has the wrong shape: "
                + $"expected {Line.Shape(target.shape)}, found {Line.Shape(entry.Shape)}.");
        }

        if (target.is_meta)
        {
            throw new ArgumentException($"The target of \"{entry.Name}\" is on the meta device: it has no memory to read into.", nameof(target));
        }

        if (target.dtype == entry.Type.ToScalarType() && TensorMemory.IsPlain(target))
        {
            Fill(target, entry, bytes);
            return;
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        target.copy_(Read(entry, bytes));
    }

    private static void Fill(Tensor tensor, TensorEntry entry, ByteSource bytes) => TensorMemory.Use(tensor, (target, count) =>
    {
        if (entry.Type.IsFloat8())
        {
            bytes(entry, (start, piece, done) => Decode(entry.Type, start, (ushort*)target + done, piece));
        }
        else
        {
            bytes(entry, (start, piece, done) => Buffer.MemoryCopy(start, target + done, count - done, piece));
        }
    });

    private static void Decode(StoredType type, byte* source, ushort* target, long count)
    {
        fixed (ushort* values = Float8.BFloat16Values(type))
        {
            for (long i = 0; i < count; i++)
            {
                target[i] = values[source[i]];
            }
        }
    }
}
