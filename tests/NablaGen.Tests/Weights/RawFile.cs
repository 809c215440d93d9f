using System.Buffers.Binary;
using System.Text;

namespace NablaGen.Tests.Weights;

/// <summary>A temporary folder and the means to put any bytes, good or bad, into safetensors files there.</summary>
internal sealed class RawFile : IDisposable
{
    public RawFile() => Directory.CreateDirectory(Folder);

    public string Folder { get; } = Path.Combine(Path.GetTempPath(), "nablagen-tests-" + Guid.NewGuid().ToString("N"));

    public static byte[] Bytes(string header, int dataBytes) => Bytes(header, new byte[dataBytes]);

    public static byte[] Bytes(string header, byte[] data)
    {
        var json = Encoding.UTF8.GetBytes(header);
        var file = new byte[8 + json.Length + data.Length];
        BinaryPrimitives.WriteInt64LittleEndian(file, json.Length);
        json.CopyTo(file, 8);
        data.CopyTo(file, 8 + json.Length);
        return file;
    }

    public string At(string name) => Path.Combine(Folder, name);

    public string Write(string name, byte[] bytes)
    {
        var path = At(name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    public string Write(string name, string text) => Write(name, Encoding.UTF8.GetBytes(text));

    /// <summary>The message of the NablaGenException that the action throws; it must be one line and hold all these parts.</summary>
    public static string Fault(Action action, params string[] parts)
    {
        var message = Assert.ThrowsAny<NablaGenException>(action).Message;
        Assert.DoesNotContain('\n', message);
        Assert.DoesNotContain('\r', message);
        Assert.All(parts, part => Assert.Contains(part, message, StringComparison.Ordinal));
        return message;
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
