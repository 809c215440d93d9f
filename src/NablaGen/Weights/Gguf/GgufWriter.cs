using System.Text;
using NablaGen.Files;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Weights.Gguf;

/// <summary>A tensor that is made when it is written into a GGUF file.</summary>
/// <param name="Name">Its key.</param>
/// <param name="Type">The number of its type: 0 for F32, 1 for F16, 8 for Q8_0.</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="Make">Makes it in float32, for Q8_0, or in its type; the writer disposes of it.</param>
internal sealed record GgufItem(string Name, uint Type, long[] Shape, Func<Tensor> Make)
{
    /// <summary>Its bytes in a file.</summary>
    public long ByteCount => Shape.Aggregate(1L, (product, side) => product * side) / GgufType.Find(Type)!.Elements * GgufType.Find(Type)!.Bytes;
}

/// <summary>Writes GGUF files (version 3), a tensor in memory at a time.</summary>
internal static unsafe class GgufWriter
{
    /// <summary>The number of Q8_0.</summary>
    public const uint Q8 = 8;

    private const int Alignment = 32;
    private const int BlockElements = 32;
    private const int BlockBytes = 34;
    private const int PieceBytes = 16 << 20;

    /// <summary>Writes a file.</summary>
    /// <param name="path">The file; an existing one is replaced once the new one is whole.</param>
    /// <param name="values">Keys and their texts or numbers (uint).</param>
    /// <param name="items">The tensors.</param>
    /// <exception cref="NablaGenException">A tensor can't be made, or the file can't be written.</exception>
    public static void Write(string path, IReadOnlyDictionary<string, object> values, IReadOnlyList<GgufItem> items) => OutputFile.Write(path, file =>
    {
        file.Write(Head(values, items));
        foreach (var item in items)
        {
            Pad(file);
            using var scope = NewDisposeScope();
            using var tensor = item.Make();
            if (item.Type != Q8)
            {
                Copy(file, tensor);
                continue;
            }

            using var blocks = Quantised(tensor);
            Copy(file, blocks);
        }

        Pad(file);
    });

    /// <summary>Makes each tensor again and compares it with what is in the file.</summary>
    /// <exception cref="NablaGenException">A tensor is another in the file.</exception>
    public static void Verify(string path, IEnumerable<GgufItem> items)
    {
        using var file = GgufFile.Open(path);
        foreach (var item in items)
        {
            using var scope = NewDisposeScope();
            var made = item.Make();
            var expected = item.Type == Q8 ? Expanded(Quantised(made), item.Shape) : made;
            if (!file.Entries.TryGetValue(item.Name, out var entry) || !entry.Shape.AsSpan().SequenceEqual(item.Shape) || !expected.eq(file.Read(item.Name)).all().item<bool>())
            {
                throw WrittenTensors.Other(path, item.Name);
            }
        }
    }

    /// <summary>
    /// Q8_0 as ggml makes it (quantize_row_q8_0_ref): d is the block's largest magnitude by 127, a half in the file; a code is x / d, halves rounded
    /// away from zero, by the d that was not rounded yet. [blocks · 34] bytes
    /// </summary>
    /// <param name="weight">float32, a multiple of 32 numbers a row.</param>
    internal static Tensor Quantised(Tensor weight)
    {
        var whole = weight.contiguous();
        var blocks = weight.numel() / BlockElements;
        var bytes = empty([blocks * BlockBytes], dtype: ScalarType.Byte, device: CPU);
        var from = TensorMemory.Floats(whole);
        TensorMemory.Use(bytes, (to, _) => Parallel.For(0, blocks, block =>
        {
            var x = from + (block * BlockElements);
            var y = to + (block * BlockBytes);
            var largest = 0f;
            for (var i = 0; i < BlockElements; i++)
            {
                largest = MathF.Max(largest, MathF.Abs(x[i]));
            }

            var d = largest / 127;
            var inverse = d > 0 ? 1 / d : 0;
            var half = BitConverter.HalfToUInt16Bits((Half)d);
            y[0] = (byte)half;
            y[1] = (byte)(half >> 8);
            for (var i = 0; i < BlockElements; i++)
            {
                y[2 + i] = (byte)(sbyte)MathF.Round(x[i] * inverse, MidpointRounding.AwayFromZero);
            }
        }));
        GC.KeepAlive(whole);
        if (!ReferenceEquals(whole, weight))
        {
            whole.Dispose();
        }

        return bytes;
    }

    private static Tensor Expanded(Tensor blocks, long[] shape)
    {
        var values = empty(shape, dtype: ScalarType.Float32, device: CPU);
        var to = TensorMemory.Floats(values);
        TensorMemory.Use(blocks, (from, count) =>
        {
            for (long block = 0; block < count / BlockBytes; block++)
            {
                GgufBlocks.Q8_0(from + (block * BlockBytes), to + (block * BlockElements));
            }
        });
        return values;
    }

    private static byte[] Head(IReadOnlyDictionary<string, object> values, IReadOnlyList<GgufItem> items)
    {
        using var head = new MemoryStream();
        using var writer = new BinaryWriter(head);
        writer.Write("GGUF"u8);
        writer.Write(3u);
        writer.Write((ulong)items.Count);
        writer.Write((ulong)values.Count);
        foreach (var (key, value) in values)
        {
            Text(writer, key);
            if (value is uint number)
            {
                writer.Write(4u);
                writer.Write(number);
            }
            else
            {
                writer.Write(8u);
                Text(writer, (string)value);
            }
        }

        var offset = 0L;
        foreach (var item in items)
        {
            Text(writer, item.Name);
            writer.Write((uint)item.Shape.Length);
            // The fastest side comes first.
            foreach (var side in item.Shape.Reverse())
            {
                writer.Write((ulong)side);
            }

            writer.Write(item.Type);
            writer.Write((ulong)offset);
            offset += (item.ByteCount + Alignment - 1) / Alignment * Alignment;
        }

        writer.Flush();
        return head.ToArray();
    }

    private static void Text(BinaryWriter writer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static void Pad(FileStream file)
    {
        while (file.Position % Alignment != 0)
        {
            file.WriteByte(0);
        }
    }

    private static void Copy(FileStream file, Tensor tensor)
    {
        using var whole = tensor.contiguous();
        TensorMemory.Use(whole, (start, count) =>
        {
            for (long done = 0; done < count; done += PieceBytes)
            {
                file.Write(new ReadOnlySpan<byte>(start + done, (int)Math.Min(PieceBytes, count - done)));
            }
        });
    }
}
