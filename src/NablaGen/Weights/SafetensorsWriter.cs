using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;
using NablaGen.Files;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>Writes safetensors files, one tensor in memory at a time, under a temporary name that is renamed at the end.</summary>
public static unsafe class SafetensorsWriter
{
    private const int PieceBytes = 16 << 20;

    /// <summary>Writes tensors as they are: any device, any strides, in their own type (real numbers, integers or booleans).</summary>
    /// <param name="path">The file; an existing one is replaced once the new one is whole.</param>
    /// <param name="tensors">Keys and tensors. Those with wider elements come first in the file, so that all lie aligned.</param>
    /// <param name="metadata">Notes for <c>__metadata__</c>.</param>
    /// <exception cref="NablaGenException">A key comes twice, a type can't be stored, or the file can't be written.</exception>
    public static void Write(
        string path, IEnumerable<KeyValuePair<string, Tensor>> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        WriteItems(path, tensors.Select(pair =>
            new Item(pair.Key, pair.Value.dtype.ToStoredType(), pair.Value.shape, () => pair.Value, false)), metadata);
    }

    /// <summary>Converts another checkpoint, one tensor at a time.</summary>
    /// <param name="path">The file; an existing one is replaced once the new one is whole.</param>
    /// <param name="source">What to write. 8-bit floats are written as bfloat16.</param>
    /// <param name="metadata">Notes for <c>__metadata__</c>.</param>
    /// <exception cref="NablaGenException">A tensor can't be read, or the file can't be written.</exception>
    public static void Write(string path, ITensorSource source, IReadOnlyDictionary<string, string>? metadata = null)
    {
        WriteItems(path, source.Entries.Values.Select(entry =>
            new Item(entry.Name, entry.Type.ToScalarType().ToStoredType(), entry.Shape, () => source.Read(entry.Name), true)), metadata);
    }

    /// <summary>Writes tensors that are made one at a time; 8-bit floats as bytes of their codes.</summary>
    /// <param name="path">The file; an existing one is replaced once the new one is whole.</param>
    /// <param name="tensors">The tensors; the writer disposes of each.</param>
    /// <param name="notes">Notes for <c>__metadata__</c>, beside that of the format.</param>
    /// <exception cref="NablaGenException">A key comes twice, a tensor can't be made, or the file can't be written.</exception>
    internal static void Write(string path, IEnumerable<ConvertedTensor> tensors, params IEnumerable<KeyValuePair<string, string>> notes) => WriteItems(
        path, tensors.Select(item => new Item(item.Name, item.Type, item.Shape, item.Make, true)), new Dictionary<string, string>(notes.Prepend(KeyValuePair.Create("format", "pt"))));

    private static void WriteItems(string path, IEnumerable<Item> items, IReadOnlyDictionary<string, string>? metadata)
    {
        // OrderBy keeps the given order among equals.
        var ordered = items.OrderByDescending(item => item.Type.Size()).ToList();
        var header = Header(path, ordered, metadata);
        OutputFile.Write(path, file =>
        {
            file.Write(header);
            foreach (var item in ordered)
            {
                WriteData(file, item);
            }
        });
    }

    // Length, JSON, and spaces up to a multiple of 8, where the data start.
    private static byte[] Header(string path, List<Item> items, IReadOnlyDictionary<string, string>? metadata)
    {
        using var json = new MemoryStream();
        json.Write(stackalloc byte[8]);
        using (var writer = new Utf8JsonWriter(json, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                writer.WriteStartObject("__metadata__");
                foreach (var (key, value) in metadata)
                {
                    writer.WriteString(key, value);
                }

                writer.WriteEndObject();
            }

            long offset = 0;
            var seen = new HashSet<string>(StringComparer.Ordinal) { "__metadata__" };
            foreach (var item in items)
            {
                if (!seen.Add(item.Name))
                {
                    throw new NablaGenException($"{path}: cannot be written: two tensors have the key {Line.Key(item.Name)}.");
                }

                writer.WriteStartObject(item.Name);
                writer.WriteString("dtype", item.Type.ToString());
                WriteNumbers(writer, "shape", item.Shape);
                WriteNumbers(writer, "data_offsets", [offset, offset += item.ByteCount]);
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        while (json.Length % 8 != 0)
        {
            json.WriteByte((byte)' ');
        }

        var bytes = json.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(bytes, bytes.Length - 8);
        return bytes;
    }

    private static void WriteNumbers(Utf8JsonWriter writer, string name, ReadOnlySpan<long> numbers)
    {
        writer.WriteStartArray(name);
        foreach (var number in numbers)
        {
            writer.WriteNumberValue(number);
        }

        writer.WriteEndArray();
    }

    private static void WriteData(FileStream file, Item item)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var tensor = item.Get();
        try
        {
            TensorMemory.Use(tensor.detach().cpu().contiguous(), (start, count) =>
            {
                for (long done = 0; done < count; done += PieceBytes)
                {
                    file.Write(new ReadOnlySpan<byte>(start + done, (int)Math.Min(PieceBytes, count - done)));
                }
            });
        }
        finally
        {
            if (item.Owned)
            {
                tensor.Dispose();
            }
        }
    }

    private sealed record Item(string Name, StoredType Type, long[] Shape, Func<Tensor> Get, bool Owned)
    {
        public long ByteCount => ByteCounts.TryOf(Shape, Type, out var bytes) ? bytes : throw new OverflowException();
    }
}
