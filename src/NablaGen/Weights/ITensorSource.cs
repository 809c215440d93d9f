using System.Collections.ObjectModel;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>
/// Named tensors on disk. Opening one reads and verifies its directory only; a tensor's bytes are read when asked for.
/// Not for use by two threads at once.
/// </summary>
public interface ITensorSource : IDisposable
{
    /// <summary>The file that was opened: the one file, or a sharded checkpoint's index.</summary>
    string Path { get; }

    /// <summary>Every file the tensors lie in, in a fixed order, the index of a sharded checkpoint first.</summary>
    IReadOnlyList<string> Files { get; }

    /// <summary>The notes that a file carries beside its tensors; empty where its form has none.</summary>
    IReadOnlyDictionary<string, string> Metadata => ReadOnlyDictionary<string, string>.Empty;

    /// <summary>All tensors by key.</summary>
    IReadOnlyDictionary<string, TensorEntry> Entries { get; }

    /// <summary>The file that holds a tensor, for messages.</summary>
    string FileOf(string name);

    /// <summary>
    /// Reads one tensor to the CPU in its stored type; 8-bit floats become bfloat16 (see <see cref="StoredTypeExtensions.ToScalarType"/>).
    /// </summary>
    /// <exception cref="NablaGenException">There is no such key, or the file can't be read.</exception>
    Tensor Read(string name);

    /// <summary>
    /// Reads one tensor into <paramref name="target"/>, of the same shape and any type and device: straight into its memory
    /// if it is contiguous, on the CPU and of the stored type, else through a small buffer of the stored type (a target with
    /// strides: through a whole temporary).
    /// </summary>
    /// <exception cref="NablaGenException">There is no such key, the shapes differ, or the file can't be read.</exception>
    void CopyTo(string name, Tensor target);

    /// <summary>One tensor's numbers as they are stored, where that is a form in fewer bits that may be kept in memory; null where it is not.</summary>
    /// <exception cref="NablaGenException">There is no such key.</exception>
    StoredNumbers? FindStored(string name) => null;
}

/// <summary>Where and how one tensor is stored.</summary>
/// <param name="Name">Its key.</param>
/// <param name="Type">The element type that a read gives; a quantised tensor is read as F32.</param>
/// <param name="Shape">Its sizes, outermost first; empty for a scalar. Stored row-major.</param>
/// <param name="Offset">
/// Its first byte, counted from the start of the file for safetensors, from the start of its storage for <c>.pth</c>.
/// </param>
/// <param name="ByteCount">Its bytes in the file: the product of the shape times the type's size, fewer where it is quantised.</param>
public sealed record TensorEntry(string Name, StoredType Type, long[] Shape, long Offset, long ByteCount)
{
    /// <summary>How its elements are stored, in words: the type's name, or that of a quantised form such as <c>Q4_K</c>.</summary>
    public string Format { get; init; } = Type.ToString();
}
