using NablaGen.Files;
using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>Compares a file that was written with what it should hold.</summary>
internal static class WrittenTensors
{
    /// <summary>Makes each tensor again and compares it with what is in the file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">What was written.</param>
    /// <exception cref="NablaGenException">A tensor is another in the file.</exception>
    public static void Verify(string path, IEnumerable<ConvertedTensor> tensors)
    {
        using var file = SafetensorsFile.Open(path);
        foreach (var (name, type, _, make) in tensors)
        {
            using var scope = NewDisposeScope();
            var (expected, found) = (make(), file.Read(name));
            if (type.IsFloat8())
            {
                expected = tensor(expected.data<byte>().ToArray().Select(code => Float8.Values(type)[code]).ToArray()).view(found.shape).to_type(ScalarType.BFloat16);
            }

            if (!expected.eq(found).all().item<bool>())
            {
                throw Other(path, name);
            }
        }
    }

    /// <summary>The error of a tensor that is another.</summary>
    public static NablaGenException Other(string path, string name) =>
        new($"{path}: the tensor {Line.Key(name)} was read back other than it was written: the disk or its file system is at fault.");
}
