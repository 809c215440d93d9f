using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>A tensor that is made when it is written.</summary>
/// <param name="Name">Its key.</param>
/// <param name="Type">The type that it is stored in.</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="Make">Makes it, in the type's own numbers or, of 8-bit floats, as codes; the caller disposes of it.</param>
internal sealed record ConvertedTensor(string Name, StoredType Type, long[] Shape, Func<Tensor> Make)
{
    /// <summary>Its bytes in a file.</summary>
    public long ByteCount => ByteCounts.TryOf(Shape, Type, out var bytes) ? bytes : throw new OverflowException();
}
