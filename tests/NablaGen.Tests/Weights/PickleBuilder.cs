using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace NablaGen.Tests.Weights;

/// <summary>Writes pickles, good and bad, opcode by opcode, and the archives around them.</summary>
internal sealed class PickleBuilder
{
    private readonly MemoryStream _bytes = new();

    public PickleBuilder() => Op("\x80\x02"); // PROTO 2

    /// <summary>An archive in PyTorch's form with this pickle and these storages.</summary>
    public byte[] Archive(CompressionLevel compression, params (string Name, byte[] Bytes)[] entries)
    {
        using var file = new MemoryStream();
        using (var archive = new ZipArchive(file, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, bytes) in entries.Prepend(("data.pkl", [.. _bytes.ToArray(), (byte)'.'])))
            {
                using var stream = archive.CreateEntry("model/" + name, compression).Open();
                stream.Write(bytes);
            }
        }

        return file.ToArray();
    }

    public PickleBuilder Op(string opcodes)
    {
        _bytes.Write(Encoding.Latin1.GetBytes(opcodes));
        return this;
    }

    public PickleBuilder Global(string module, string name) => Op($"c{module}\n{name}\n");

    public PickleBuilder Text(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        Op("X").Raw(bytes.Length);
        _bytes.Write(bytes);
        return this;
    }

    public PickleBuilder Int(int value) => Op("J").Raw(value);

    public PickleBuilder Ints(params int[] values)
    {
        Op("(");
        foreach (var value in values)
        {
            Int(value);
        }

        return Op("t");
    }

    /// <summary>A key and its tensor, to stand between "}(" and "u".</summary>
    public PickleBuilder Tensor(string key, string storageType, string storage, int count, int offset, int[] shape, int[] strides) =>
        Text(key).Global("torch._utils", "_rebuild_tensor_v2").Op("((").Text("storage").Global("torch", storageType).Text(storage)
            .Text("cpu").Int(count).Op("tQ").Int(offset).Ints(shape).Ints(strides).Op("\x89").Op("}").Op("tR");

    private PickleBuilder Raw(int value)
    {
        Span<byte> little = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(little, value);
        _bytes.Write(little);
        return this;
    }
}
