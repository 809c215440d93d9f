using NablaGen.Denoising;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>A prepared request's seed and conditioning as bytes, for the ranks that help to make its video.</summary>
internal static class ConditioningBytes
{
    /// <summary>Writes them.</summary>
    /// <param name="seed">The seed, which rank 0 may have drawn.</param>
    /// <param name="conditioning">The conditioning, on the CPU.</param>
    public static byte[] Write(long seed, GuidedConditioning conditioning)
    {
        using var memory = new MemoryStream();
        using var writer = new BinaryWriter(memory);
        writer.Write(seed);
        Write(writer, conditioning.Prompt);
        writer.Write(conditioning.Negative is not null);
        if (conditioning.Negative is { } negative)
        {
            Write(writer, negative);
        }

        writer.Flush();
        return memory.ToArray();
    }

    /// <summary>Reads them back.</summary>
    public static (long Seed, GuidedConditioning Conditioning) Read(byte[] bytes)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes));
        var seed = reader.ReadInt64();
        return (seed, new GuidedConditioning(ReadOne(reader), reader.ReadBoolean() ? ReadOne(reader) : null));
    }

    private static unsafe void Write(BinaryWriter writer, Models.Conditioning conditioning)
    {
        writer.Write(conditioning.Names.Count);
        foreach (var name in conditioning.Names)
        {
            using var scope = NewDisposeScope();
            var part = conditioning[name].cpu().contiguous();
            writer.Write(name);
            writer.Write((sbyte)part.dtype);
            writer.Write(part.shape.Length);
            Array.ForEach(part.shape, writer.Write);
            TensorMemory.Use(part, (start, count) => writer.Write(new ReadOnlySpan<byte>(start, checked((int)count))));
        }
    }

    private static unsafe Models.Conditioning ReadOne(BinaryReader reader)
    {
        var conditioning = new Models.Conditioning();
        for (var left = reader.ReadInt32(); left > 0; left--)
        {
            var (name, type) = (reader.ReadString(), (ScalarType)reader.ReadSByte());
            var shape = new long[reader.ReadInt32()];
            for (var axis = 0; axis < shape.Length; axis++)
            {
                shape[axis] = reader.ReadInt64();
            }

            var part = empty(shape, type);
            TensorMemory.Use(part, (start, count) => reader.BaseStream.ReadExactly(new Span<byte>(start, checked((int)count))));
            conditioning.Add(name, part);
        }

        return conditioning;
    }
}
