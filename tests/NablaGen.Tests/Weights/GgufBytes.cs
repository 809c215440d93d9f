using System.Text;
using NablaGen.Weights.Gguf;

namespace NablaGen.Tests.Weights;

/// <summary>Makes GGUF files, good and bad, value by value.</summary>
internal sealed class GgufBytes
{
    private readonly MemoryStream _keys = new();
    private readonly MemoryStream _tensors = new();
    private readonly MemoryStream _data = new();
    private ulong _keyCount;
    private ulong _tensorCount;

    public uint Version { get; init; } = 3;

    /// <summary>A key and its value: a text, a number, or an array of texts, float32 numbers or bytes.</summary>
    public GgufBytes Key(string name, object value)
    {
        var writer = new BinaryWriter(_keys);
        Text(writer, name);
        switch (value)
        {
            case string text:
                writer.Write(8u);
                Text(writer, text);
                break;
            case uint number:
                writer.Write(4u);
                writer.Write(number);
                break;
            case string[] texts:
                writer.Write(9u);
                writer.Write(8u);
                writer.Write((ulong)texts.Length);
                foreach (var text in texts)
                {
                    Text(writer, text);
                }

                break;
            case float[] numbers:
                writer.Write(9u);
                writer.Write(6u);
                writer.Write((ulong)numbers.Length);
                foreach (var number in numbers)
                {
                    writer.Write(number);
                }

                break;
            default:
                throw new ArgumentException($"no such value here: {value.GetType()}", nameof(value));
        }

        _keyCount++;
        return this;
    }

    /// <summary>A tensor of a type and shape (outermost side first) and its data.</summary>
    public GgufBytes Tensor(string name, uint type, long[] shape, byte[] data)
    {
        _data.Write(new byte[(32 - _data.Length % 32) % 32]);
        var writer = new BinaryWriter(_tensors);
        Text(writer, name);
        writer.Write((uint)shape.Length);
        foreach (var side in shape.Reverse())
        {
            writer.Write(side);
        }

        writer.Write(type);
        writer.Write(_data.Length);
        _data.Write(data);
        _tensorCount++;
        return this;
    }

    public byte[] ToArray()
    {
        var file = new MemoryStream();
        var writer = new BinaryWriter(file);
        writer.Write("GGUF"u8);
        writer.Write(Version);
        writer.Write(_tensorCount);
        writer.Write(_keyCount);
        writer.Write(_keys.ToArray());
        writer.Write(_tensors.ToArray());
        writer.Write(new byte[(32 - file.Length % 32) % 32]);
        writer.Write(_data.ToArray());
        return file.ToArray();
    }

    /// <summary>The number of a type by its name.</summary>
    public static uint Type(string name) => Enumerable.Range(0, 64).Select(id => (uint)id).Single(id => GgufType.Find(id)?.Name == name);

    private static void Text(BinaryWriter writer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }
}
